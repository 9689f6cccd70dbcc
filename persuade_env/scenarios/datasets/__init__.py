"""Readers of public data sets. Each gives (place in the file, function that makes the record)."""
