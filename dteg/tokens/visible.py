"""Who sees what: things may be for certain roles only."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from dteg.tokens.models import ROLE_PATTERN

Role = Annotated[str, Field(pattern=ROLE_PATTERN)]


class Visible:
    """Who looks: sees what has no roles, what has one of theirs, and all as an admin.

    Args:
        roles: Those of who looks.
        everything: Whether that one may see all.
    """

    def __init__(self, roles: frozenset[str] = frozenset(), *, everything: bool = False) -> None:
        self.roles, self.everything = roles, everything

    def allows(self, roles: Sequence[str]) -> bool:
        """Return whether something for these roles may be seen."""
        return self.everything or not roles or not self.roles.isdisjoint(roles)


EVERYTHING = Visible(everything=True)
"""Whoever works on the library has the database anyway."""
