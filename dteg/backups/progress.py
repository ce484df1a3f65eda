"""How far a piece of work is."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """One moment.

    Attributes:
        phase: What is done now, such as `dumping`.
        done_bytes: Bytes of the dump that have passed.
        total_bytes: About how many there will be; 0 if nobody knows.
    """

    phase: str
    done_bytes: int = 0
    total_bytes: int = 0


Report = Callable[[Progress], None]


def silent(progress: Progress) -> None:
    """Tell nobody."""
