"""Evaluation of the misconduct detector and rates of misconduct."""
