"""The processes of the desk besides its sessions: control, the one writer of desk.db, what keeps sessions running."""
