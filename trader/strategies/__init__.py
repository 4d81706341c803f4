"""The bundled example strategies, one a file."""
