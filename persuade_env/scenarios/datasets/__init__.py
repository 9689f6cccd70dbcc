"""Readers of public data sets; each yields (location in the file, function that parses it)."""
