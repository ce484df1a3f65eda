"""The commands put together, and how errors leave the program."""

import atexit
import contextlib
import errno
import gc
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

import typer
from click import Context, Option, Parameter
from click.exceptions import ClickException

from dteg.cli.lazy import Entry, LazyGroup

# The order of `dteg --help`.
SECTIONS = {
    "Project": {
        "init": Entry("scaffold:init", "Make a project with one pipeline that runs at once."),
        "info": Entry("environment:info", "Show where the project, its warehouse and its state are; with a name, a component of the marketplace."),
        "doctor": Entry("environment:doctor", "Say what is missing on this machine, and the command that mends it."),
        "stop": Entry("environment:stop", "End every server that this project started."),
        "studio": Entry("studio:app", "Run the studio of this project until Ctrl-C or `dteg stop`; it prints a link that logs a browser in, once."),
    },
    "Pipelines": {
        "run": Entry("pipelines:run", "Run a pipeline in this process: extract, process, load, check, transform."),
        "pipeline": Entry("pipelines:app", "Check, list and explain pipeline files."),
    },
    "Tables": {
        "create": Entry("create:create", "Make a table from a file, or a component: four files that pass their tests as they are."),
        "tables": Entry("tables:list_", "List tables with their rows, size and columns; ~ marks the database's estimate."),
        "read": Entry("tables:read", "Show rows of a table or view."),
        "export": Entry("tables:export", "Write the rows of a table to a file."),
        "delete": Entry("tables:delete", "Delete a table or view that nothing needs; asks first."),
        "table": Entry("tables:app", "Make tables from files, list, read, export and delete them."),
        "normalize": Entry("normalize:normalize", "Take a flat file apart into tables in third normal form: proved on all rows, or nothing is written."),
    },
    "Datasets": {
        "source": Entry("sources:app", "Other databases and files, read beside the warehouse's tables."),
        "dictionary": Entry("dictionaries:app", "Keep dictionaries: codes and what they mean, looked up in datasets."),
        "dataset": Entry("datasets:app", "Datasets: rows of several databases, put together without SQL."),
        "snapshot": Entry("snapshots:app", "Numbers of datasets over time: points, trends and forecasts."),
        "chart": Entry("charts:app", "Charts of datasets."),
        "dashboard": Entry("dashboards:app", "Charts on a page."),
        "metadata": Entry("metadata:app", "What is in the databases: collected, proved by running it, and published for whoever writes SQL."),
    },
    "Operations": {
        "backup": Entry("backups:app", "Back a database up: dteg backup DB."),
        "backups": Entry("backups:backups", "List the backups, the newest first."),
        "restore": Entry("backups:restore", "Make a database from a backup, compare every row, and only then give it its name."),
        "cron": Entry("cron:app", "Jobs that run by the clock."),
        "listen": Entry("schema_changes:listen", "Capture changes of the schema of a database, from now on and whether or not anything of dteg runs."),
        "unlisten": Entry("schema_changes:unlisten", "End the capture in a database and remove what it installed there; the history of changes stays."),
        "schema-changes": Entry("schema_changes:schema_changes", "Show changes of the schema, newest first: who, when, old and new type, and what they break."),
        "topic": Entry("topics:app", "Topics of messages."),
        "publish-message": Entry("topics:publish_message", "Publish a message, or one for each line of standard input."),
        "subscribe": Entry("topics:subscribe", "Print the messages of a topic as they come, or run a command for each; Ctrl-C ends it.", "SUBSCRIBE_OPTIONS"),
        "alert": Entry("alerts:app", "What is going on, and who is told of it."),
        "prune": Entry("pruning:prune", "Remove old runs, events and ticks from Dagster's storage; the latest of each asset stays."),
    },
    "Marketplace": {
        "search": Entry("marketplace:search", "Search the marketplace; small mistakes in words are forgiven."),
        "install": Entry("components:install", "Install components from the marketplace, verified, and write dteg.lock."),
        "update": Entry("components:update", "Move components to their best release, and say what changes: changelog, capabilities, trust."),
        "uninstall": Entry("components:uninstall", "Remove components, and the packages that only they needed."),
        "list": Entry("components:list_components", "List the components of dteg.lock, and whether they are installed here."),
        "rate": Entry("marketplace:rate", "Give a component stars; wants that you have installed it."),
        "review": Entry("marketplace:review", "Review a component in words; replaces your earlier review."),
        "eject": Entry("components:eject", "Copy the code of a component into the project, to change it; updates are merged into the copy."),
        "mirror": Entry("components:mirror", "Copy components with their signatures into a folder, for installs without the registry."),
    },
    "Publishing": {
        "test": Entry("test:run_tests", "Run the tests of a component, or with --gates all that the registry asks of it before it lists it."),
        "publish": Entry("publishing:publish", "Build, sign and upload a component, and show what the registry's gates say until it is listed."),
        "yank": Entry("publishing:yank", "Keep new installations from taking a release; who has locked it still gets it."),
        "deprecate": Entry("publishing:deprecate", "Say that nobody should begin to use a component."),
        "component": Entry("component:app", "The component standard."),
        "namespace": Entry("publishing:namespaces", "Where components are published."),
        "key": Entry("publishing:keys", "Keys that releases are signed with."),
        "login": Entry("login:login", "Log in to a registry: keeps a token, not the password, in a file that only you can read."),
        "logout": Entry("login:logout", "Log out: ends the kept token at the registry and forgets it."),
        "token": Entry("login:app", "Tokens for programs."),
        "registry": Entry("registry:registry", "Run or administer a marketplace of your own: serve, create-admin, ...; see `dteg registry --help`.", "OPTIONS"),
    },
}  # fmt: skip
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _show_version(context: Context, _option: Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        from dteg import __version__

        print(f"dteg {__version__}")
        context.exit()


app = LazyGroup(
    "dteg",
    SECTIONS,
    params=[
        Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version and exit.",
        )
    ],
    help="Pipelines from any source into PostgreSQL, checked and transformed.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    rich_markup_mode=None,
    epilog="Exit codes: 0 done, 1 run failed, 2 bad input, 3 something is missing on this machine.",
)


def main() -> None:
    """Run the command line and leave with its exit code; no error of ours shows a traceback."""
    _prepare_streams()
    gc.set_threshold(100_000)  # looking for garbage among freshly imported modules takes a tenth of a start
    leave(run_app(sys.argv[1:]))


def _prepare_streams() -> None:
    """Give a program without a standard stream (`>&-`, some daemons) one, and no terminal a text that it cannot show."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - until the end
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def leave(code: int) -> NoReturn:
    """End the process without tearing Python down.

    Arrow reads CSV in a thread of its own. If that still holds on to a Python file while Python ends, the
    process aborts ("terminate called without an active exception", exit code 134) although all is done:
    about once in 600 runs on a busy machine.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - what coverage and others wait for at exit, which os._exit leaves out
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def run_app(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    from dteg.core.errors import DtegError

    try:
        result = app(args=arguments, standalone_mode=False)
        if result == 130:  # so Typer tells of Ctrl-C
            raise KeyboardInterrupt
        sys.stdout.flush()  # here and not at the end of Python, where a closed pipe could not be caught
        return result if isinstance(result, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except ClickException as error:
        error.show()
        return 2
    except KeyboardInterrupt:
        print("interrupted; nothing of the unfinished load was kept", file=sys.stderr)
        return 130
    except typer.Abort as end:  # no is the answer to a question, or there is none
        print("nothing was changed", file=sys.stderr)
        return 130 if isinstance(end.__context__, KeyboardInterrupt) else 1
    except (BrokenPipeError, SystemExit) as end:  # the reader, such as `head`, has seen enough
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            print(f"error: {error.strerror}: {error.filename or 'the output'} is cut off", file=sys.stderr)
            return 3
        if os.environ.get("DTEG_DEBUG"):
            raise
        from dteg.core.secrets import redact

        print(
            f"error: unexpected {type(error).__name__}: {redact(str(error))}\nThis is a bug in dteg; DTEG_DEBUG=1 shows where.",
            file=sys.stderr,
        )
        return 1
