"""Extracts from PostgreSQL."""
