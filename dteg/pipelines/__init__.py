"""Pipelines: the YAML, the engine that runs it, and the state it keeps in the target."""
