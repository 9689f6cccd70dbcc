"""User models: simulators of the person who is persuaded."""
