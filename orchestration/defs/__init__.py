"""Component instances: a folder each, mostly YAML."""
