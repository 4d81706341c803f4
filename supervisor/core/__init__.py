"""What the supervisor decides, pure: specs, tree, restarts, liveness, step(tree, event, now)."""
