"""The command line: one file per group of commands, each importing its domain only when it runs.

Exit codes: 0 done, 1 the run failed, 2 bad input, 3 something is missing on this machine, 130 interrupted.
"""

from dteg.cli.main import app, main

__all__ = ["app", "main"]
