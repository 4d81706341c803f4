"""The control socket: its server in the tree and its client outside."""
