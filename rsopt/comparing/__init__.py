"""Solvers measured against suprema that are proven."""
