"""Interactive dialogues between a person and a model."""
