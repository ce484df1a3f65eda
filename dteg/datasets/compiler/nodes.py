"""The nodes that queries are made of, from an optional package."""

from dteg.core.errors import MissingExtraError

try:
    from sqlglot import exp
except ImportError:
    raise MissingExtraError("datasets", "a dataset") from None

__all__ = ["exp"]
