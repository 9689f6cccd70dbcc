"""Statistics of scenario files."""
