"""Language models: the one place that talks to one. What a model says is a proposal, and is checked by who asked."""

from dteg.ai.client import Model, ModelError

__all__ = ["Model", "ModelError"]
