"""Audit of judges."""
