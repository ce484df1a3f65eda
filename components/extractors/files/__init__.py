"""Reads files: local, packed, over HTTP or out of installed packages."""
