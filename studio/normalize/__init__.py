"""Flat files taken apart: REST and pages."""
