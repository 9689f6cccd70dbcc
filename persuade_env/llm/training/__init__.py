"""Fine-tuning of language models with LoRA."""
