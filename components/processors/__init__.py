"""Processors that come with dteg."""
