"""Common parts of several generators."""
