"""Fidelity of user models: measures of how much they behave like people."""
