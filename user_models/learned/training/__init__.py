"""Training of the learned user."""
