"""The stores on disk: desk.db and one journal a session; schema, migrations, reading."""
