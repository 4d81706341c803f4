"""What the supervisor does, at the edge: the loop, spawning, the child's half, hand-over, systemd."""
