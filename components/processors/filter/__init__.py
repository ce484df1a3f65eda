"""Keeps the rows for which an expression is true."""
