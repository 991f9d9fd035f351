"""Benchmarks: how fast data, training, losses, sampling and evaluation are."""
