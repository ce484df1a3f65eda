"""One load into one table. Everything it does is one transaction, so a crash anywhere leaves nothing behind.

Where rows go before the publish:

    append                      straight into the table: COPY in the open transaction
    replace, table empty        the same
    a new table                 the same; the key of merge and scd2 is built at the publish
    replace, table with rows    a temporary table, then TRUNCATE and INSERT, so that readers wait
                                only for the publish and not for the source
    merge, scd2                 a temporary table, then one statement that writes only what differs
    columns have to change      a temporary table: ALTER TABLE keeps readers out, so it comes last

A temporary table dies with its connection, so a killed load leaves no staging table.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson
import psycopg
from psycopg import errors as pg_errors
from psycopg import sql

from dteg.connectors import (
    Batch,
    Checkpoint,
    DeadLetter,
    LoadPlan,
    LoadResult,
    NativeFormat,
    NativeLoadSession,
    NativeSource,
    RowsNeededError,
    Schema,
)
from dteg.core.errors import ConflictError, QualityGateError, TransientError
from dteg.core.postgres import connect, translated
from dteg.core.queries import load_queries
from dteg.pipelines.schema_policy import reconcile

from . import publish
from .native import COPY_OPTIONS, accepted_format, copy_options
from .table import Target, read_target

QUERIES = load_queries(Path(__file__).parent / "journal.sql")
COMPONENT = "postgres"
# Rejected rows are written in parts of this many, so that a load of nothing but bad rows stays small.
DEAD_LETTER_ROWS = 1000
# Counting a table of this size takes a few hundredths of a second.
MAX_COUNTED_BYTES = 64 << 20


class PostgresSession(NativeLoadSession):
    """A load in progress on one connection."""

    def __init__(
        self,
        url: str,
        plan: LoadPlan,
        *,
        lock_timeout_s: float,
        idle_timeout_s: float,
        statement_timeout_s: float,
        only_new: bool = False,
        refuse_repeats: bool = False,
    ) -> None:
        """Connect, lock the target against other loads and read the journal."""
        self.plan = plan
        self._only_new, self._refuse_repeats = only_new, refuse_repeats
        self._keys: dict[str, Any] = {
            "pipeline": plan.pipeline, "stream": plan.stream, "target": str(plan.target), "load_id": plan.load_id,
        }  # fmt: skip
        self._stack = contextlib.ExitStack()
        self._copy: psycopg.Copy | None = None
        self._relays = False
        self._copied = self._bytes_read = self._rows_rejected = 0
        self._letters: list[DeadLetter] = []
        self._changes: list[str] = []
        self._alterations: list[sql.Composable] = []
        self._is_new = self._was_empty = False
        self._connection = connect(
            url,
            component=COMPONENT,
            idle_timeout_s=idle_timeout_s,
            statement_timeout_s=statement_timeout_s,
            lock_timeout_s=lock_timeout_s,
        )
        try:
            self._prepare_journal()
            self._lock(lock_timeout_s)
            self._committed = self._find_load()
            self._checkpoint = self._find_checkpoint()
        except BaseException:
            self._connection.close()
            raise

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The position that the last published load saved."""
        return self._checkpoint

    @property
    def committed(self) -> LoadResult | None:
        """The result of an earlier load with this load id."""
        return self._committed

    @property
    def changes(self) -> list[str]:
        """What the schema policy changed."""
        return self._changes

    def begin(self, schema: Schema) -> Schema:
        """Open the transaction, bring the table and the stream together, and begin to COPY."""
        with translated(COMPONENT, self.plan.stream):
            self._make_schema()
            self._connection.execute("BEGIN")
            target = read_target(self._connection, self.plan.target)
            if target.exists and self._only_new:
                raise ConflictError(
                    f"{self.plan.target} is there already, and only a new table may be loaded"
                )
            policy = self.plan.schema_policy if target.exists else "evolve"  # a new table is no drift
            change = reconcile(target.loadable, schema, policy, str(self.plan.target))
            self._changes = change.notes() if target.exists else []
            if target.exists:
                self._alterations = publish.alterations(target, change, self.plan)
            else:
                self._is_new = True
                target = publish.create(self._connection, change.schema, self.plan)
            self._target: Target = target
            self._columns = [column.name for column in change.schema]
            self._schema = change.schema
            self._into = self._copy_target(change.schema)
        return change.schema

    def accept(self, source: NativeSource) -> NativeFormat | str:
        """Take COPY's own bytes when no value has to change: binary where both sides surely agree on it."""
        if self._nullable_keys() and not self._was_empty:
            return f"{self.plan.target} allows a null in primary_key, so each row is looked at"
        return accepted_format(source, self._schema, self._connection.info.server_version // 10_000)

    def write(self, batch: Batch) -> None:
        """Send one batch to COPY."""
        from .encode import encode

        self._bytes_read += batch.nbytes
        with translated(COMPONENT, self.plan.stream):
            self._open_copy(sql.SQL(COPY_OPTIONS)).write(encode(batch))

    def write_bytes(self, block: bytes, format_: NativeFormat) -> None:
        """Send some bytes to COPY as they are."""
        self._bytes_read += len(block)
        self._relays = True
        with translated(COMPONENT, self.plan.stream), self._refusing_bytes():
            self._open_copy(copy_options(format_)).write(block)

    def greatest(self, column: str) -> Any:
        """Return the greatest value of a column among the staged rows."""
        value: sql.Composable = sql.Identifier(column)
        if self._target.columns[column] == "uuid":  # which has no max(); its text sorts alike
            value = sql.SQL('{}::text COLLATE "C"').format(value)
        return self._staged(sql.SQL("SELECT max({}) FROM {}").format(value, self._into))

    def has_null_keys(self) -> bool:
        """Whether a staged row has a null in the primary key."""
        nullable = self._nullable_keys()
        if not nullable:
            return False  # COPY refuses it
        null = sql.SQL(" OR ").join(sql.SQL("{} IS NULL").format(sql.Identifier(name)) for name in nullable)
        return bool(self._staged(sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(self._into, null)))

    def _nullable_keys(self) -> list[str]:
        """Return the columns of the key that could hold a null in the table that rows are copied into."""
        if self._into == publish.STAGING:
            return []
        return [name for name in self.plan.primary_key if name not in self._target.not_null]

    def _staged(self, query: sql.Composed) -> Any:
        """End the COPY and ask one question about what came."""
        with translated(COMPONENT, self.plan.stream):
            self._close_copy()
            row = self._connection.execute(query).fetchone()
        return row[0] if row else None

    def reject(self, letters: list[DeadLetter]) -> None:
        """Keep records that were set aside; refuse the load when there are too many."""
        self._rows_rejected += len(letters)
        if self._rows_rejected > self.plan.max_bad_rows:
            first = letters[0]
            raise QualityGateError(
                f"{self.plan.target}: more than max_bad_rows: {self.plan.max_bad_rows} rows cannot be loaded; "
                f"nothing was changed. First one now: {first.position}: {first.reason}",
                failed=["max_bad_rows"],
            )
        self._letters += letters

    def publish(self, checkpoint: Checkpoint) -> LoadResult:
        """Put the rows in place and commit them with the journal."""
        with translated(COMPONENT, self.plan.stream):
            self._close_copy()
            copied = self._copied
            if self._alterations:
                self._target = publish.alter(self._connection, self._target, self._alterations, self.plan)
            written = publish.put_in_place(
                self._connection, self._target, self._into, self._columns, self.plan,
                refuse_repeats=self._refuse_repeats,
            )  # fmt: skip
            if self._is_new and (
                repeats := publish.add_key(
                    self._connection, self._target.sql, self.plan, refuse_repeats=self._refuse_repeats
                )
            ):
                written = copied - repeats
            self._write_dead_letters()
            result = LoadResult(
                rows_read=copied + self._rows_rejected,
                rows_written=copied if written is None else written,
                rows_rejected=self._rows_rejected,
                bytes_read=self._bytes_read,
                total_rows=copied if self._was_empty and written is None else self._count(),
            )
            self._save(result, checkpoint)
            self._commit()
        return result

    def close(self) -> None:
        """Roll back what was not published and disconnect."""
        if self._copy is not None:
            self._copy = None
            # Ends the COPY on the server's side too; the transaction is rolled back with the connection.
            try:
                self._connection.cancel_safe(timeout=5)
            except psycopg.Error:
                self._connection.close()  # nobody answers there: what follows must not wait
            # Left to the garbage collector, psycopg would warn on standard error of a COPY that did not end.
            unfinished = psycopg.OperationalError("the load was not published")
            with contextlib.suppress(psycopg.Error):
                self._stack.__exit__(type(unfinished), unfinished, None)
        with contextlib.suppress(psycopg.Error):
            self._connection.close()

    def _prepare_journal(self) -> None:
        with translated(COMPONENT):
            if self._value(QUERIES["is_ready"]):
                return
            with self._connection.transaction():
                self._connection.execute(QUERIES["lock_schema"])
                self._connection.execute(QUERIES["create_schema"])

    def _make_schema(self) -> None:
        """Make the target's schema by itself: two first loads would collide over it when the later one commits."""
        if self._value(QUERIES["has_schema"], {"schema": self.plan.target.schema}):
            return
        with self._connection.transaction():
            self._connection.execute(QUERIES["lock_schema"])
            publish.create_schema(self._connection, self.plan.target.schema)

    def _lock(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        with translated(COMPONENT):
            while not self._value(QUERIES["lock_target"], self._keys):
                if time.monotonic() > deadline:
                    raise TransientError(
                        f"another load of {self.plan.target} has been running for {timeout_s:g} s; wait for it or end it",
                        component=COMPONENT, stream=self.plan.stream,
                    )  # fmt: skip
                time.sleep(0.2)

    def _value(self, query: str, parameters: dict[str, Any] | None = None) -> Any:
        row = self._connection.execute(query.encode(), parameters).fetchone()
        return row[0] if row else None

    def _find_load(self) -> LoadResult | None:
        with translated(COMPONENT):
            row = self._connection.execute(QUERIES["find_load"].encode(), self._keys).fetchone()
        if row is None:
            return None
        read, written, rejected, num_bytes, total = row
        return LoadResult(read, written, rejected, num_bytes, total, already_loaded=True)

    def _find_checkpoint(self) -> Checkpoint | None:
        with translated(COMPONENT):
            saved = self._value(QUERIES["find_checkpoint"], self._keys)
        return Checkpoint.from_json(saved) if saved else None

    def _copy_target(self, schema: Schema) -> sql.Composable:
        """Return the table to COPY into: the target itself, or a new temporary one."""
        if self._is_new or (self.plan.disposition in ("append", "replace") and not self._alterations):
            keeps_rows = self.plan.disposition == "append" and not self.plan.full_refresh
            self._was_empty = self._is_new or self._is_empty()
            if keeps_rows or self._was_empty:
                return self._target.sql
        return publish.create_staging(self._connection, schema, self.plan)

    def _is_empty(self) -> bool:
        query = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(self._target.sql)
        row = self._connection.execute(query).fetchone()
        return bool(row and row[0])

    @contextlib.contextmanager
    def _refusing_bytes(self) -> Iterator[None]:
        """Ask for rows when the server cannot read the bytes: it does not know which file and row they are from."""
        try:
            yield
        except pg_errors.NotNullViolation as error:
            if not self._relays or error.diag.column_name not in self.plan.primary_key:
                raise
            raise RowsNeededError("a row has a null in its key") from error
        except psycopg.DataError as error:
            if not self._relays:
                raise
            raise RowsNeededError(f"the server refused the bytes: {error.diag.message_primary}") from error

    def _open_copy(self, options: sql.Composable) -> psycopg.Copy:
        """Return the COPY, beginning it at the first row: a load without rows needs none."""
        if self._copy is not None:
            return self._copy
        columns = sql.SQL(", ").join(map(sql.Identifier, self._columns))
        statement = sql.SQL("COPY {} ({}) FROM STDIN ({})").format(self._into, columns, options)
        self._cursor = self._connection.cursor()
        self._copy = self._stack.enter_context(self._cursor.copy(statement))
        return self._copy

    def _close_copy(self) -> None:
        if self._copy is None:
            return
        self._copy = None
        with self._refusing_bytes():
            self._stack.close()
        self._copied += self._cursor.rowcount

    def _write_dead_letters(self) -> None:
        if not self._letters:
            return
        table = publish.create_dead_letters(self._connection, self.plan.target)
        # A percent sign in the name would be taken for a placeholder.
        name = sql.SQL(table.as_string(self._connection).replace("%", "%%"))
        insert = sql.SQL(
            "INSERT INTO {} (load_id, reason, position, payload) VALUES (%s, %s, %s, %s)"
        ).format(name)
        with self._connection.cursor() as cursor:
            for start in range(0, len(self._letters), DEAD_LETTER_ROWS):
                part = self._letters[start : start + DEAD_LETTER_ROWS]
                cursor.executemany(insert, [self._letter_row(letter) for letter in part])

    def _letter_row(self, letter: DeadLetter) -> Sequence[str]:
        try:
            payload = orjson.dumps(letter.payload, default=str).decode()
        except TypeError:  # a whole number beyond 64 bits, or very deep
            payload = orjson.dumps({name: str(value) for name, value in letter.payload.items()}).decode()
        # PostgreSQL's jsonb and text cannot hold a NUL character.
        texts = (self.plan.load_id, letter.reason, letter.position, payload.replace("\\u0000", "\\ufffd"))
        return [text.replace("\x00", "\ufffd") for text in texts]

    def _count(self) -> int | None:
        """Return the rows of the target; None where counting them would cost more than a small load."""
        size = sql.SQL("SELECT pg_relation_size({})").format(sql.Literal(self.plan.target.sql))
        row = self._connection.execute(size).fetchone()
        if row is None or row[0] > MAX_COUNTED_BYTES:
            return None
        row = self._connection.execute(sql.SQL("SELECT count(*) FROM {}").format(self._target.sql)).fetchone()
        return int(row[0]) if row else None

    def _save(self, result: LoadResult, checkpoint: Checkpoint) -> None:
        counts = {
            "disposition": self.plan.disposition, "rows_read": result.rows_read, "rows_written": result.rows_written,
            "rows_rejected": result.rows_rejected, "bytes_read": result.bytes_read, "total_rows": result.total_rows,
        }  # fmt: skip
        saved = orjson.dumps(checkpoint.to_json()).decode()
        self._connection.execute(QUERIES["save_checkpoint"].encode(), {**self._keys, "checkpoint": saved})
        self._connection.execute(QUERIES["save_load"].encode(), {**self._keys, **counts})

    def _commit(self) -> None:
        """Commit; when the answer is lost, the retry looks for the load id instead of loading again."""
        try:
            self._connection.execute("COMMIT")
        except (psycopg.OperationalError, pg_errors.AdminShutdown) as error:
            raise TransientError(
                f"the connection was lost while committing {self.plan.target}",
                component=COMPONENT,
                stream=self.plan.stream,
            ) from error
