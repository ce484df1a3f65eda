"""Backups of databases: whole, signed, encrypted on wish, and proved by restoring them."""
