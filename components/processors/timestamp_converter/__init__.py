"""Turns local times into instants."""
