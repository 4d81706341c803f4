"""`nightdesk doctor`: what could stop tonight's run, looked at one thing after the other without disturbing it."""
