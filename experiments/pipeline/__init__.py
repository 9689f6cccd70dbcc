"""The main job: the table of steps, and what makes them."""
