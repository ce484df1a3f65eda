"""DESCRIPTION.

As it was made it writes into an SQLite file, so that it runs at once. What your own system needs too: one transaction
for rows, rejected rows, position and load id. Then a load that is broken off leaves nothing, and a repeated one adds
nothing.
"""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pydantic import Field

from dteg.connectors import (
    Batch,
    Capabilities,
    Checkpoint,
    ConnectorConfig,
    DeadLetter,
    Disposition,
    Loader,
    LoadPlan,
    LoadResult,
    LoadSession,
    Schema,
)
from dteg.core.errors import PermanentError, QualityGateError, TransientError
from dteg.core.identifiers import TableName, quote
from dteg.pipelines.schema_policy import reconcile

_DISPOSITIONS: frozenset[Disposition] = frozenset({"append", "replace", "merge"})
_STATE = """
create table if not exists _dteg_columns (target text, name text, sql_type text, primary key (target, name));
create table if not exists _dteg_state (pipeline text, stream text, checkpoint text, primary key (pipeline, stream));
create table if not exists _dteg_loads (load_id text primary key, result text);
create table if not exists _dteg_dead_letters (target text, load_id text, reason text, position text, payload text);
"""


class AcmeConfig(ConnectorConfig):
    """Where to write."""

    path: str = Field(min_length=1, description="SQLite file, below the project folder or absolute.")
    table: str = Field("{stream}", min_length=1, description="Table; {stream} is replaced.")
    wait_s: float = Field(60, gt=0, le=3600, description="Seconds to wait for another load into the file.")


class AcmeLoader(Loader[AcmeConfig]):
    """Writes tables of one SQLite file."""

    capabilities = Capabilities(dispositions=_DISPOSITIONS, transactional=True)

    @classmethod
    def target(cls, config: AcmeConfig, stream: str) -> TableName:
        """Return the table of a stream; `main` is what SQLite calls the schema of the file."""
        return TableName.parse(config.table.replace("{stream}", stream), default_schema="main")

    def check(self) -> None:
        """Open the file."""
        self._connect().close()

    def open(self, plan: LoadPlan) -> "AcmeSession":
        """Begin a transaction, waiting until no other load writes into the file."""
        connection = self._connect()
        with _translated():
            connection.executescript(_STATE)
            connection.execute("begin immediate")
        return AcmeSession(connection, plan)

    def _connect(self) -> sqlite3.Connection:
        path: Path = self.context.project.root / self.config.path
        with _translated():
            connection = sqlite3.connect(path, timeout=self.config.wait_s, isolation_level=None)
            connection.execute(
                "pragma cache_spill = off"
            )  # nobody has to wait for a load before it is published
            connection.execute("select count(*) from sqlite_schema")  # SQLite opens the file only now
        return connection


class AcmeSession(LoadSession):
    """One load, which is one transaction."""

    def __init__(self, connection: sqlite3.Connection, plan: LoadPlan) -> None:
        """Take an open transaction."""
        self.connection, self.plan = connection, plan
        self._table, self._name = plan.target.name, str(plan.target)
        self._notes: list[str] = []
        self._read = self._written = self._rejected = self._bytes = 0

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The saved position."""
        row = self._one("select checkpoint from _dteg_state where pipeline = ? and stream = ?", *self._key)
        return Checkpoint.from_json(json.loads(row)) if row else None

    @property
    def committed(self) -> LoadResult | None:
        """The result of an earlier load with this load id."""
        row = self._one("select result from _dteg_loads where load_id = ?", self.plan.load_id)
        return replace(LoadResult(**json.loads(row)), already_loaded=True) if row else None

    @property
    def changes(self) -> list[str]:
        """What the schema policy changed."""
        return self._notes

    def begin(self, schema: Schema) -> Schema:
        """Make or change the table."""
        with _translated():
            if self.plan.full_refresh:
                self.connection.execute(_sql("drop table if exists {}", self._table))
                self.connection.execute("delete from _dteg_columns where target = ?", [self._name])
            known = dict(self.connection.execute(
                "select name, sql_type from _dteg_columns where target = ?", [self._name]
            ).fetchall())  # fmt: skip
            change = reconcile(known, schema, self.plan.schema_policy if known else "evolve", self._name)
            for name, type_ in change.add.items():
                self._add_column(name, type_, is_first=not known)
                known[name] = type_
            if self.plan.disposition == "replace":
                self.connection.execute(_sql("delete from {}", self._table))
        self._notes = change.notes() if known.keys() - change.add.keys() else []
        return change.schema

    def write(self, batch: Batch) -> None:
        """Insert a batch; with merge, in the place of rows with the same key."""
        names = batch.schema.names
        rows = [[_plain(row[name]) for name in names] for row in batch.to_pylist()]
        insert = _sql("insert into {} ({}) values ({marks})", self._table, names)
        with _translated():
            if self.plan.disposition == "merge":
                key = list(self.plan.primary_key)
                delete = _sql("delete from {} where ({}) is ({marks})", self._table, key)
                for row in rows:
                    self.connection.execute(delete, [row[names.index(name)] for name in key])
                    self.connection.execute(insert, row)
            else:
                self.connection.executemany(insert, rows)
        self._read += len(rows)
        self._written += len(rows)
        self._bytes += batch.nbytes

    def reject(self, letters: list[DeadLetter]) -> None:
        """Keep what was set aside, as long as it is not too much."""
        self._rejected += len(letters)
        if self._rejected > self.plan.max_bad_rows:
            message = f"{self._rejected} bad rows, but max_bad_rows is {self.plan.max_bad_rows}"
            raise QualityGateError(f"{message}; the first: {letters[0].reason}", failed=["max_bad_rows"])
        rows = [
            (self._name, self.plan.load_id, each.reason, each.position, json.dumps(each.payload))
            for each in letters
        ]
        with _translated():
            self.connection.executemany("insert into _dteg_dead_letters values (?, ?, ?, ?, ?)", rows)

    def publish(self, checkpoint: Checkpoint) -> LoadResult:
        """Save position and load id, and commit all of it."""
        total = self._one(_sql("select count(*) from {}", self._table))
        result = LoadResult(self._read + self._rejected, self._written, self._rejected, self._bytes, total)
        saved = json.dumps(checkpoint.to_json())
        with _translated():
            self.connection.execute("replace into _dteg_state values (?, ?, ?)", [*self._key, saved])
            self.connection.execute(
                "insert into _dteg_loads values (?, ?)", [self.plan.load_id, json.dumps(asdict(result))]
            )
            self.connection.execute("commit")
        return result

    def close(self) -> None:
        """Close the file, which undoes what was not committed."""
        self.connection.close()

    @property
    def _key(self) -> tuple[str, str]:
        return self.plan.pipeline, self.plan.stream

    def _one(self, statement: str, *values: Any) -> Any:
        with _translated():
            row = self.connection.execute(statement, values).fetchone()
        return row[0] if row else None

    def _add_column(self, name: str, type_: str, *, is_first: bool) -> None:
        exists = self._one(
            "select 1 from sqlite_schema where type = 'table' and name = ?", self.plan.target.name
        )
        make = "create table {} ({} TYPE)" if is_first and not exists else "alter table {} add column {} TYPE"
        self.connection.execute(_sql(make.replace("TYPE", _affinity(type_)), self._table, name))
        self.connection.execute("insert into _dteg_columns values (?, ?, ?)", [self._name, name, type_])


def _sql(text: str, *names: str | list[str]) -> str:
    """Put quoted names, and marks for as many values, into a statement; values are bound and never put in."""
    lists = [[name] if isinstance(name, str) else name for name in names]
    marks = ", ".join("?" * len(lists[-1]))
    return text.format(*(", ".join(map(quote, each)) for each in lists), marks=marks)


def _affinity(type_: str) -> str:
    if type_ in ("smallint", "integer", "bigint", "boolean"):
        return "integer"
    return "real" if type_ in ("real", "double precision") else "text"


def _plain(value: Any) -> Any:
    """Return what SQLite can hold: numbers, bytes and NULL as they are, all else as text."""
    return value if isinstance(value, int | float | bytes | None) else str(value)


@contextmanager
def _translated() -> Iterator[None]:
    """Make errors of dteg of those of the driver: a busy file may be free later, all else stays as it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise TransientError(
                f"another program writes into the file: {error}", component="acme"
            ) from error
        raise PermanentError(f"{error}; check path and rights", component="acme") from error
    except sqlite3.Error as error:
        raise PermanentError(str(error), component="acme") from error
