"""Sessions in which the queries of datasets run: as a role that may do little, for a limited time."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import errors as pg_errors

from dteg.core.errors import ConfigError, DtegError, TransientError
from dteg.core.postgres import connect, translate
from dteg.core.project import Project
from dteg.core.stopping import stoppable
from dteg.sources.roles import BUILDER, ensure_roles

if TYPE_CHECKING:
    from dteg.datasets.models import Dependency

LOCK_TIMEOUT_S = 2
GRACE_S = 2.0
"""What the client waits longer than the server for a statement to end."""
TEMP_FILES_KB = 20 * 1024 * 1024
# The role comes last: it may not do the settings before it. `temp_file_limit` is a superuser's to set.
_PREPARE = """
SELECT set_config('statement_timeout', %(statement_timeout)s, true),
    set_config('lock_timeout', %(lock_timeout)s, true),
    set_config('work_mem', %(work_mem)s, true),
    set_config('timezone', 'UTC', true),
    set_config('search_path', 'pg_catalog, pg_temp', true),
    CASE WHEN has_parameter_privilege('temp_file_limit', 'SET')
        THEN set_config('temp_file_limit', %(temp_file_limit)s, true) END,
    set_config('role', %(role)s, true)
"""
# Classes of SQLSTATE that say that the query does not fit, not that something is out of order.
_UNFIT = ("0A", "22", "42", "54")
_SOURCE = ("08", "HV")

Connection = psycopg.Connection[Any]


def prepare(connection: Connection, timeout_s: float, *, read_only: bool, work_mem_mb: int = 64) -> None:
    """Make the transaction that is open one of the builder's, until it ends.

    Args:
        connection: In a transaction in which nothing has been done yet.
        timeout_s: Longest time of a statement.
        read_only: Whether it may not write at all.
        work_mem_mb: Memory of one sort or hash.
    """
    if read_only:
        connection.execute("SET TRANSACTION READ ONLY")
    connection.execute(
        _PREPARE,
        {
            "statement_timeout": f"{max(int(timeout_s * 1000), 1)}ms",
            "lock_timeout": f"{LOCK_TIMEOUT_S}s",
            "work_mem": f"{work_mem_mb}MB",
            "temp_file_limit": f"{TEMP_FILES_KB}kB",
            "role": BUILDER,
        },
    )


@contextlib.contextmanager
def builder_session(
    project: Project,
    timeout_s: float,
    *,
    read_only: bool = True,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Connection]:
    """Lend a connection of its own in a transaction of the role that builds datasets.

    Args:
        project: Whose warehouse.
        timeout_s: Longest time of a statement.
        read_only: Whether it may not write.
        settings: Further settings, such as those of `Sources.link_deadlines`.

    Raises:
        ConfigError: The warehouse does not take a statement.
        TransientError: It took too long, or a source does not answer.
        EnvironmentProblemError: The role cannot be made; says what to run.
    """
    url = project.warehouse_url()
    with contextlib.ExitStack() as stack:
        connection = connect(url, component="warehouse", statement_timeout_s=timeout_s + GRACE_S)
        stack.callback(connection.close)
        stack.enter_context(stoppable(connection))
        try:
            ensure_roles(connection)
            with connection.transaction():
                prepare(connection, timeout_s, read_only=read_only)
                for name, value in (settings or {}).items():
                    connection.execute("SELECT set_config(%s, %s, true)", [name, value])
                yield connection
        except psycopg.Error as error:
            raise trouble(error, timeout_s) from error


@contextlib.contextmanager
def reading_session(
    project: Project, depends_on: "Sequence[Dependency]", timeout_s: float
) -> Iterator[Connection]:
    """Lend a read-only builder's connection that ends even when one of the sources hangs.

    Args:
        project: Whose warehouse.
        depends_on: What is read.
        timeout_s: Longest time of all.

    Raises:
        DtegError: As for `builder_session`.
    """
    from dteg.datasets.inputs import Inputs

    with (
        Inputs(project, depends_on).deadline(timeout_s) as settings,
        builder_session(project, timeout_s, settings=settings) as connection,
    ):
        yield connection


def trouble(error: psycopg.Error, timeout_s: float) -> DtegError:
    """Return our error for one of a query of a dataset."""
    if isinstance(error, pg_errors.QueryCanceled):
        return TransientError(
            f"it took longer than {timeout_s:g} s; leave rows out by a filter, or ask for less",
            component="warehouse",
        )
    translated = translate(error, "warehouse")
    state = error.sqlstate or ""
    if state.startswith(_SOURCE):
        from dteg.sources.reaching import plain_failure

        why = plain_failure(translated)
        return TransientError(f"a source failed while it was read: {why}", component="warehouse")
    if state.startswith(_UNFIT):
        return ConfigError(f"the warehouse does not take this: {translated}")
    return translated
