"""The processes of a connection: broker streams in, typed messages out."""
