"""Probes of user models, from which the fidelity measures are computed."""
