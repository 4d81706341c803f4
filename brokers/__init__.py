"""Speaks to venues: one Broker behaviour, declared capabilities; starts no process, knows no supervisor."""
