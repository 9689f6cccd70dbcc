"""Text normalization and sentence embeddings."""
