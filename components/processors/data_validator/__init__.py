"""Sets aside rows that break a rule."""
