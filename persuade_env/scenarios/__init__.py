"""Scenarios: the shipped corpus, its splits, and readers of public data sets."""

from persuade_env.scenarios.io import (
    CORPORA,
    DEFAULT_CORPUS,
    FORMATS,
    check,
    json_schema,
    load,
    load_corpus,
    load_source,
)
from persuade_env.scenarios.splits import SPLITS, halves, split_of

__all__ = [
    "CORPORA",
    "DEFAULT_CORPUS",
    "FORMATS",
    "SPLITS",
    "check",
    "halves",
    "json_schema",
    "load",
    "load_corpus",
    "load_source",
    "split_of",
]
