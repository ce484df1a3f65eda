"""Sortable identifiers, and the names of things."""

import re
import secrets
import threading
import time
from datetime import datetime

# What people read as something else, in the order in which it is replaced. Names are lower case ASCII.
_LOOKALIKES = (("rn", "m"), ("vv", "w"), ("0", "o"), ("1", "l"), ("i", "l"))
NAMESPACE_PATTERN = r"^[a-z][a-z0-9]{1,38}$"
SLUG_PATTERN = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_lock, _newest = threading.Lock(), [0]


def new_id() -> str:
    """Return a ULID in lower case: 26 characters, sorted by the time of making.

    In one process each is greater than the one before, also within a millisecond: what is listed by id stays in the
    order in which it was made. Source: github.com/ulid/spec.
    """
    with _lock:
        number = time.time_ns() // 1_000_000 << 80 | secrets.randbits(80)
        if number <= _newest[0]:
            number = _newest[0] + 1 + secrets.randbits(64)
        _newest[0] = number
    return _text(number)


def id_of(moment: datetime, number: int) -> str:
    """Return an id in the form of `new_id` that is always the same for what happened then and has this number."""
    return _text(round(moment.timestamp() * 1000) << 80 | number)


def _text(number: int) -> str:
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(125, -1, -5))


def component_id(namespace: str, slug: str) -> str:
    """Return `namespace/slug`, the key of a component."""
    return f"{namespace}/{slug}"


def release_id(component: str, version: str) -> str:
    """Return `namespace/slug@version`, the key of a release."""
    return f"{component}@{version}"


def skeleton(name: str) -> str:
    """Return what a name looks like at a glance: names of one skeleton are taken for each other."""
    folded = re.sub(r"[^a-z0-9]", "", name.lower())
    for seen, meant in _LOOKALIKES:
        folded = folded.replace(seen, meant)
    return folded
