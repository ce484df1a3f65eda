"""Dictionaries over HTTP and in the browser."""
