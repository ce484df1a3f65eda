"""The commands put together, and how errors leave the program."""

import os
import sys

import typer
from click.exceptions import ClickException

from dteg.cli import data, environment, pipelines, scaffold

app = typer.Typer(
    name="dteg",
    help="Pipelines from any source into PostgreSQL, checked and transformed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 run failed, 2 bad input, 3 something is missing on this machine.",
)
app.command("run")(pipelines.run)
app.add_typer(pipelines.app, name="pipeline")
app.command("read")(data.read)
app.command("init")(scaffold.init)
app.command("info")(environment.info)
app.command("doctor")(environment.doctor)
app.command("stop")(environment.stop)


def main() -> None:
    """Run the command line and leave with its exit code; no error of ours shows a traceback."""
    sys.exit(run_app(sys.argv[1:]))


def run_app(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from dteg.core.errors import DtegError

    try:
        result = app(args=arguments, standalone_mode=False)
        sys.stdout.flush()  # here and not at the end of Python, where a closed pipe could not be caught
        return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except ClickException as error:
        error.show()
        return 2
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; nothing of the unfinished load was kept", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if os.environ.get("DTEG_DEBUG"):
            raise
        from dteg.core.secrets import redact

        print(
            f"error: unexpected {type(error).__name__}: {redact(str(error))}\nThis is a bug in dteg; DTEG_DEBUG=1 shows where.",
            file=sys.stderr,
        )
        return 1
