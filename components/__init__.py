"""The connectors that come with dteg."""
