"""Dictionaries: small typed tables that people keep by hand, and that datasets look values up in."""
