"""Language models: loading, checkpoints, chat backends, generation and fine-tuning."""
