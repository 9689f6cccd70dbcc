"""Safety checks of text: a misconduct detector and a filter of harmful goals."""
