"""One refresh of one dataset: lock, clean up, build, check, publish, within a deadline."""

import contextlib
import time
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import psycopg
from psycopg import errors as pg_errors

from dteg.core.clock import utc_now
from dteg.core.control import ensure, session
from dteg.core.durations import parse_duration
from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DtegError,
    NotFoundError,
    PermanentError,
    QualityGateError,
    TransientError,
)
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translate, translated
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.datasets import store
from dteg.datasets.inputs import Inputs
from dteg.datasets.models import CheckResult, Generation, GenerationStatus
from dteg.datasets.refreshing import checks, generations, publishing
from dteg.sources.reaching import is_unreachable, plain_failure
from dteg.sources.roles import ensure_roles

if TYPE_CHECKING:
    from dteg.datasets.compiler import Compiled
    from dteg.datasets.spec import DatasetSpec

DOMAIN = "datasets"
# What the server may take to end a statement after its deadline, before we leave it to itself.
GRACE_S = 1.0
PATIENCE_S = 10.0
_LOOK_S = 0.1


class Deadline:
    """How long something may still take.

    Args:
        text: The duration as it was written, such as `10m`.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._end = time.monotonic() + parse_duration(text).total_seconds()

    def left(self) -> float:
        """Return the time that is left (s), at least a hundredth."""
        return max(self._end - time.monotonic(), 0.01)

    def limit(self, connection: psycopg.Connection[Any]) -> None:
        """Let the next statements of a transaction take no longer than what is left."""
        connection.execute(f"SET LOCAL statement_timeout = {max(int(self.left() * 1000), 1)}".encode())


class Refresh:
    """Work on the generations of one dataset; a context manager that owns a connection and its locks.

    Args:
        project: Whose dataset.
        slug: Which.
        run_id: Names the run.
        wait_s: How long to wait for another refresh to end (s).

    Raises:
        NotFoundError: There is no such dataset.
    """

    def __init__(self, project: Project, slug: str, *, run_id: str = "", wait_s: float = 0.0) -> None:
        self._project, self._slug, self._run_id, self._wait_s = project, slug, run_id, wait_s
        self._deadline: Deadline | None = None

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._connection = connect(self._project.warehouse_url(), component="warehouse", lock_timeout_s=2)
            stack.callback(self._connection.close)
            with translated("warehouse"):
                ensure(self._connection, DOMAIN)
                ensure_roles(self._connection)
                self._look()
            stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()  # and with it the lock is given back
        if isinstance(error, psycopg.Error):
            raise translate(error, "warehouse") from error

    def build(self) -> Generation:
        """Build a generation; see `Datasets.build`."""
        self._lock()
        self._look()  # it may have been changed while we waited
        self._deadline = deadline = Deadline(self._spec.cache.deadline)
        generations.sweep(self._connection, self._slug)
        n = store.first(self._connection, "begin", slug=self._slug, run_id=self._run_id)
        if n is None:
            raise NotFoundError(f"the dataset {self._slug!r} was removed")
        store.run(self._connection, "forget_old", slug=self._slug, n=n)
        began = time.monotonic()
        with self._failing(n):
            compiled = self._compile()
            inputs = Inputs(self._project, compiled.depends_on)
            inputs.probe()
            inputs.stage(deadline.left())
            built, read_at = self._run(n, compiled, inputs, deadline)
            store.run(
                self._connection, "built", slug=self._slug, n=n, seconds=time.monotonic() - began, rows=built.rows,
                bytes=built.num_bytes, data_as_of=inputs.data_as_of(self._connection, read_at),
                columns=store.as_json(built.columns), sql=compiled.sql,
            )  # fmt: skip
        return store.generation(self._connection, self._slug, n)

    def results(self, n: int) -> list[CheckResult]:
        """Run the checks on a generation; see `Datasets.check`."""
        subject = store.generation(self._connection, self._slug, n)
        if not generations.exists(self._connection, generations.relation_of(self._slug, n)):
            raise ConflictError(
                f"the rows of generation {n} of dataset {self._slug} are not there any more ({subject.status})"
            )
        began = time.monotonic()
        with self._failing(n):
            found = self._checks(subject)
            store.run(
                self._connection, "checked", slug=self._slug, n=n, error=checks.failed_sentence(found),
                checks=store.as_json(found), seconds=time.monotonic() - began,
            )  # fmt: skip
        return found

    def check(self, n: int) -> None:
        """Run the checks and refuse rows that fail them.

        Raises:
            QualityGateError: A blocking check failed.
        """
        found = self.results(n)
        if sentence := checks.failed_sentence(found):
            failed = [each.name for each in found if each.blocking and not each.passed]
            raise QualityGateError(
                f"dataset {self._slug}: generation {n} is not published; {sentence}. Its rows are in "
                f"{generations.relation_of(self._slug, n)} until the next refresh",
                failed=failed,
            )

    def publish(self, n: int) -> Generation:
        """Let readers see a generation that was checked; see `Datasets.publish`."""
        patience_s = max(self._deadline.left(), GRACE_S) if self._deadline else PATIENCE_S
        wish = publishing.Wish(self._slug, n, {GenerationStatus.CHECKED})
        return self._published(wish, patience_s)

    def rollback(self, n: int | None) -> Generation:
        """Let readers see an earlier generation again; see `Datasets.rollback`."""
        if n is None:
            n = store.first(self._connection, "before_live", slug=self._slug)
            if n is None:
                raise ConflictError(
                    f"dataset {self._slug} has no earlier generation; cache.keep_generations says how many are kept"
                )
        return self._published(
            publishing.Wish(self._slug, n, {GenerationStatus.RETIRED}, forward=False), PATIENCE_S
        )

    def _published(self, wish: publishing.Wish, patience_s: float) -> Generation:
        before = self._dataset.live
        publishing.publish(self._connection, wish, patience_s)
        generations.drop_old(self._connection, self._slug, self._spec.cache.keep_generations)
        now = store.generation(self._connection, self._slug, wish.n)
        if before is None or before.columns != now.columns:
            from dteg.datasets.definitions import recheck_after_swap

            recheck_after_swap(self._project, self._slug)
        return now

    def _look(self) -> None:
        """Read the dataset and its definition."""
        self._dataset = store.get(self._connection, self._slug, utc_now())
        self._spec: DatasetSpec = self._dataset.definition

    def _lock(self) -> None:
        """Become the one that refreshes this dataset, for as long as our connection lives."""
        end = time.monotonic() + self._wait_s
        while not store.first(self._connection, "lock", slug=self._slug):
            if time.monotonic() >= end:
                raise ConflictError(f"dataset {self._slug} is being refreshed already; wait for that to end")
            time.sleep(_LOOK_S)

    def _compile(self) -> "Compiled":
        """Compile the definition; one that no longer fits its sources is marked as broken."""
        from dteg.datasets.catalogue import LiveCatalogue
        from dteg.datasets.compiler import compile_dataset

        try:
            compiled = compile_dataset(self._spec, LiveCatalogue(self._project))
        except (ConfigError, NotFoundError, PermanentError) as error:
            store.run(self._connection, "broken", slug=self._slug, why=str(error))
            raise
        columns = store.as_json(compiled.columns)
        store.run(self._connection, "compiled", slug=self._slug, sql=compiled.sql, columns=columns)
        return compiled

    def _run(
        self, n: int, compiled: "Compiled", inputs: Inputs, deadline: Deadline
    ) -> tuple[generations.Built, datetime]:
        """Build in a transaction of its own connection, as the builder."""
        cache = self._spec.cache
        plan = generations.Plan(self._slug, n, compiled.sql, cache.key, cache.indexes)
        with self._reading(inputs, deadline, f"dteg refresh {self._slug}", read_only=False) as connection:
            row = connection.execute("SELECT transaction_timestamp()").fetchone()
            built = generations.build(connection, plan, lambda: deadline.limit(connection))
        assert row is not None, "a SELECT without FROM has a row"
        return built, row[0]

    @contextlib.contextmanager
    def _reading(
        self, inputs: Inputs, deadline: Deadline, name: str, *, read_only: bool
    ) -> Iterator[WatchedConnection]:
        """Lend a connection in a transaction as the builder, whose end is certain even when a source hangs."""
        from dteg.datasets.session import prepare

        with contextlib.ExitStack() as stack:
            settings = stack.enter_context(inputs.deadline(deadline.left()))
            connection = connect(
                self._project.warehouse_url(),
                component="warehouse",
                statement_timeout_s=deadline.left() + GRACE_S,
            )
            stack.callback(connection.close)
            pid = connection.info.backend_pid
            try:
                with connection.transaction():
                    prepare(
                        connection,
                        deadline.left(),
                        read_only=read_only,
                        work_mem_mb=self._spec.cache.build_memory_mb,
                    )
                    # Where we die without a word, the server notices within a second, and rolls back.
                    wanted = {"client_connection_check_interval": "1s", "application_name": name, **settings}
                    for setting, value in wanted.items():
                        connection.execute("SELECT set_config(%s, %s, true)", [setting, value])
                    yield connection
            except psycopg.Error as error:
                self._end(pid)
                raise self._trouble(error, deadline) from error

    def _checks(self, subject: Generation) -> list[CheckResult]:
        deadline = self._deadline or Deadline(self._spec.cache.deadline)
        looked_at = checks.Checked(
            generations.relation_of(self._slug, subject.n),
            subject.rows or 0,
            self._dataset.live.rows if self._dataset.live else None,
        )
        joins = checks.joins_check(self._spec)
        depends_on = self._dataset.depends_on if joins else []
        inputs = Inputs(self._project, depends_on)
        with self._reading(inputs, deadline, f"dteg check {self._slug}", read_only=True) as connection:
            found = checks.run_checks(connection, self._spec, looked_at)
            if joins:
                found.append(self._check_joins(connection, *joins))
        order = [name for name, _ in checks.check_names(self._spec)]
        return sorted(found, key=lambda each: order.index(each.name))

    def _check_joins(self, connection: WatchedConnection, name: str, blocking: bool) -> CheckResult:
        """Count at the sources whether joins match as expected."""
        from dteg.datasets.catalogue import LiveCatalogue
        from dteg.datasets.compiler import expectations

        wrong = [
            f"{each.where} is not {each.expect} for {count:,} values"
            for each in expectations(self._spec, LiveCatalogue(self._project))
            if (count := first_value(connection, each.sql))
        ]
        return CheckResult(
            name=name,
            passed=not wrong,
            message="; ".join(wrong) or "joins match as expected",
            blocking=blocking,
        )

    def _end(self, pid: int) -> None:
        """End a session that may still wait for a source; it gives its locks back."""
        with contextlib.suppress(psycopg.Error):
            self._connection.execute("SELECT pg_terminate_backend(%s)", [pid])

    def _trouble(self, error: psycopg.Error, deadline: Deadline) -> DtegError:
        """Return our error for one of the build."""
        if isinstance(error, pg_errors.QueryCanceled) or deadline.left() <= GRACE_S / 10:
            return TransientError(
                f"it was not done within its deadline of {deadline.text} (cache.deadline); a source may hang or the "
                "query be too slow",
                component="datasets",
            )
        if is_unreachable(error):
            return TransientError(
                f"a source failed while it was read: {plain_failure(translate(error, 'datasets'))}",
                component="datasets",
            )
        return translate(error, "datasets")

    @contextlib.contextmanager
    def _failing(self, n: int) -> Iterator[None]:
        """Write into a generation why it failed, whatever it was."""
        try:
            yield
        except BaseException as error:
            said = translate(error, "warehouse") if isinstance(error, psycopg.Error) else error
            self._note_failure(n, _sentence(said))
            raise

    def _note_failure(self, n: int, why: str) -> None:
        values = {"slug": self._slug, "n": n, "error": why}
        try:
            store.run(self._connection, "failed", **values)
        except psycopg.Error:  # our connection is gone; so is our lock
            with contextlib.suppress(DtegError, psycopg.Error), session(self._project, DOMAIN) as connection:
                store.run(connection, "failed", **values)


def _sentence(error: BaseException) -> str:
    if isinstance(error, DtegError):
        return str(error)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was stopped"
    return f"an unexpected error: {type(error).__name__}"
