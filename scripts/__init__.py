"""Scripts of the project; the benches import what they share from here."""
