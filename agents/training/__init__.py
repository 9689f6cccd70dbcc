"""Training of persuaders: SFT, DPO, PPO and GRPO."""
