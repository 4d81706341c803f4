"""When markets are open: as intervals, as a calendar has them, as a process goes by them."""
