"""Methods of training compared over several seeds."""
