"""The data source of a session: each closed bar once, in order."""
