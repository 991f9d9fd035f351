"""Text-to-motion whose motion says what the sentence says."""
