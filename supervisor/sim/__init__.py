"""The simulated world: all processes of a tree in one interpreter as greenlets, on a virtual clock, from one seed."""
