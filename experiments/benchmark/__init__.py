"""Benchmarks: dialogues played to their end, next turns, strategies."""
