"""Fewer samples: adaptive looks, error spending, anytime-valid bounds and planning."""
