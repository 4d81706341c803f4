"""The command line: one file a family of commands. Nothing here is imported by a process of the desk."""
