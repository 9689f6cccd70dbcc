"""The learned user: an attitude model and a fine-tuned chat model."""
