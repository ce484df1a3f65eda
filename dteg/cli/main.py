"""The commands put together, and how errors leave the program."""

import atexit
import contextlib
import gc
import os
import sys
from typing import NoReturn

import typer
from click.exceptions import ClickException

from dteg.cli import (
    alerts,
    backups,
    charts,
    component,
    components,
    create,
    cron,
    dashboards,
    datasets,
    dictionaries,
    environment,
    login,
    marketplace,
    metadata,
    normalize,
    pipelines,
    pruning,
    publishing,
    registry,
    scaffold,
    schema_changes,
    snapshots,
    sources,
    studio,
    tables,
    test,
    topics,
)

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
app.add_typer(tables.app, name="table")
app.add_typer(sources.app, name="source")
app.add_typer(dictionaries.app, name="dictionary")
app.add_typer(datasets.app, name="dataset")
app.add_typer(snapshots.app, name="snapshot")
app.add_typer(dashboards.app, name="dashboard")
app.add_typer(charts.app, name="chart")
app.command("tables")(tables.list_)
app.command("read")(tables.read)
app.command("delete")(tables.delete)
app.command("export")(tables.export)
app.command("normalize")(normalize.normalize)
app.add_typer(metadata.app, name="metadata")
app.command("init")(scaffold.init)
app.command("create")(create.create)
app.command("test")(test.run_tests)
app.add_typer(component.app, name="component")
app.command("search")(marketplace.search)
app.command("install")(components.install)
app.command("update")(components.update)
app.command("uninstall")(components.uninstall)
app.command("list")(components.list_components)
app.command("eject")(components.eject)
app.command("mirror")(components.mirror)
app.command("rate")(marketplace.rate)
app.command("review")(marketplace.review)
app.command("publish")(publishing.publish)
app.command("yank")(publishing.yank)
app.command("deprecate")(publishing.deprecate)
app.add_typer(publishing.namespaces, name="namespace")
app.add_typer(publishing.keys, name="key")
app.command("login")(login.login)
app.command("logout")(login.logout)
app.add_typer(login.app, name="token")
app.command("registry", context_settings=registry.CONTEXT)(registry.registry)
app.add_typer(studio.app, name="studio")
app.add_typer(cron.app, name="cron")
app.add_typer(backups.app, name="backup")
app.command("backups")(backups.backups)
app.command("restore")(backups.restore)
app.command("prune")(pruning.prune)
app.add_typer(topics.app, name="topic")
app.command("publish-message")(topics.publish_message)
app.command("subscribe", cls=topics.ExecCommand)(topics.subscribe)
app.add_typer(alerts.app, name="alert")
app.command("listen")(schema_changes.listen)
app.command("unlisten")(schema_changes.unlisten)
app.command("schema-changes")(schema_changes.schema_changes)
app.command("info")(environment.info)
app.command("doctor")(environment.doctor)
app.command("stop")(environment.stop)


def main() -> None:
    """Run the command line and leave with its exit code; no error of ours shows a traceback."""
    gc.set_threshold(100_000)  # looking for garbage among freshly imported modules takes a tenth of a start
    leave(run_app(sys.argv[1:]))


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
    except (KeyboardInterrupt, typer.Abort):
        print("interrupted; nothing of the unfinished load was kept", file=sys.stderr)
        return 130
    except (BrokenPipeError, SystemExit) as end:  # the reader, such as `head`, has seen enough
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
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
