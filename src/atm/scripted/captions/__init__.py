"""Sentences that say what a program does."""
