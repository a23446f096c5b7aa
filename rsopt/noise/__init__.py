"""Noise: how it is drawn."""
