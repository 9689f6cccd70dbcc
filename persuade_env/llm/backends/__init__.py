"""Backends of the `ChatModel` protocol."""
