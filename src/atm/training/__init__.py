"""One plain loop for everything trainable, its presets, and what a run leaves behind."""
