"""The trader of a session: hosts the user's strategy, its code, its hooks, its state, one turn at a time."""
