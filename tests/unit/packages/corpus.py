"""Bad packages, each with the code it must be refused with; made of a good wheel by one change.

The corpus is made, not stored: a case says what is wrong with it, and a good wheel of today is what it starts from.
"""

from tests.unit.packages.bad_archives import bad_archives
from tests.unit.packages.bad_wheels import bad_wheels
from tests.unit.packages.changes import Case


def cases() -> list[Case]:
    """Return all of them."""
    return [*bad_archives(), *bad_wheels()]
