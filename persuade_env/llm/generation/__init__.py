"""Token generation: decoding loops, a KV cache of prompt prefixes, a fast forward pass on CPUs."""
