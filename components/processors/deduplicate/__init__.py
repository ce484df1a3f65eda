"""Drops rows whose key came before."""
