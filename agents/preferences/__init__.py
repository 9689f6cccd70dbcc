"""Preferences between persuader turns, simulated with a user model."""
