"""Judges, which decide which of two dialogues persuaded better."""
