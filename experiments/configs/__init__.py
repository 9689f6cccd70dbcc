"""Settings of a run: their schema, their presets, and how they are read."""
