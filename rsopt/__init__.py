"""rsopt."""
