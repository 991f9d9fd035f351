"""Data folders made and mended."""
