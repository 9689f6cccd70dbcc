"""The environments. `gym.make` and `gym.make_vec` find them by id."""
