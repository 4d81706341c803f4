"""The processes of a session, and the application that puts everything together."""
