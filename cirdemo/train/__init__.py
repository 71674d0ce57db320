"""Training: losses, one loop, recipes."""
