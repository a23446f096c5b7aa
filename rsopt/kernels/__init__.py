"""Compiled numerical kernels and the special functions they share."""
