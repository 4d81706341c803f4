"""Runs processes and lets them talk; has never heard of a market, usable by itself."""
