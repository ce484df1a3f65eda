"""`python -m dteg.datasets.refreshing.run SLUG`: one refresh in a process of its own."""

import argparse
import os
import sys
from collections.abc import Sequence

TAKEN = 4
"""Exit code: somebody else refreshes this dataset now."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Refresh a dataset, tell the alerts of it, and return the exit code."""
    parser = argparse.ArgumentParser(prog="dteg.datasets.refreshing.run")
    parser.add_argument("slug")
    parser.add_argument("--run-id", default="")
    parser.add_argument("--wait-s", type=float, default=0.0)
    chosen = parser.parse_args(arguments)

    from dteg.core.errors import ConflictError, DtegError
    from dteg.core.project import Project
    from dteg.datasets.refreshing.telling import telling

    project = Project.find()
    try:
        with telling(project, chosen.slug) as told:
            told.refresh(chosen.run_id, wait_s=chosen.wait_s)
    except ConflictError as error:
        sys.stderr.write(f"{error}\n")
        return TAKEN
    except DtegError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    CODE = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Libraries of sources leave threads behind that would keep the end waiting.
    os._exit(CODE)
