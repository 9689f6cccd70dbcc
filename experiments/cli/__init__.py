"""The `persuade` command: one module for each command."""
