"""Persuaders: scripted controls, prompted and trained language models, best of n."""
