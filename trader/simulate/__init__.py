"""The desk on a virtual clock: the same processes, against the emulator's own pure core. Simulations and testers."""
