"""Live metrics, the HTML report, Weights & Biases."""
