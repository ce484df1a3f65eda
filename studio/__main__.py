"""`python -m studio`: what `dteg studio` starts."""

import argparse
import sys

from dteg.cli.main import leave
from dteg.core.errors import DtegError
from studio.serve import serve
from studio.settings import StudioSettings


def main() -> int:
    """Run until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="dteg studio")
    parser.add_argument("--port", type=int)
    parser.add_argument("--host")
    parser.add_argument("--open", action="store_true")
    parser.add_argument("--allow-network", action="store_true")
    parser.add_argument("--access-log", action="store_true")
    options = parser.parse_args()
    given: dict[str, object] = {
        name: getattr(options, name) for name in ("port", "host") if getattr(options, name) is not None
    }
    if options.allow_network:
        given["allow_network"] = True
    try:
        serve(StudioSettings.from_environment(**given), browse=options.open, access_log=options.access_log)
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    leave(main())
