"""The account manager of a session: its journal, its one step, and the only code that has orders sent."""
