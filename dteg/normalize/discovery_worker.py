"""`python -m dteg.normalize.discovery_worker FILE MAX_LHS ERROR`: finds dependencies in a CSV file without header.

A process of its own, because a search in C++ can be neither limited nor interrupted from Python.
"""

import json
import sys
from typing import Any


def search(path: str, max_lhs: int, error: float) -> dict[str, list[list[object]]]:
    """Return the minimal dependencies as pairs of column numbers: exact ones, and almost exact ones."""
    import desbordante

    table = (path, ",", False)
    exact = desbordante.fd.algorithms.HyFD()
    exact.load_data(table=table)
    exact.execute(max_lhs=max_lhs)
    found = {"exact": _pairs(exact)}
    del exact  # its memory is needed for the next one
    almost = desbordante.afd.algorithms.PFDTane()
    almost.load_data(table=table)
    almost.execute(error=error, max_lhs=1, pfd_error_measure="per_tuple")
    return found | {"almost": _pairs(almost)}


def _pairs(search: Any) -> list[list[object]]:
    return [[list(each.lhs_indices), each.rhs_index] for each in search.get_fds()]


if __name__ == "__main__":
    json.dump(search(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])), sys.stdout)
