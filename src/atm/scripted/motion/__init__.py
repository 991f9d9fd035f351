"""Motions made by formula from a program: gait, gestures, floor work, jumps."""
