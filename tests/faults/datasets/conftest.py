"""A hub that reads another server, which can be frozen and stopped, and people who read the result all the time."""

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from pydantic import SecretStr

from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from dteg.sources.models import Kind, NewSource
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources
from studio.testing import empty_project

CUSTOMERS = """
CREATE SCHEMA raw;
CREATE TABLE raw.customers (id integer PRIMARY KEY, country text);
INSERT INTO raw.customers SELECT i, CASE i % 2 WHEN 0 THEN 'KZ' ELSE 'UZ' END FROM generate_series(1, 20) AS i;
"""
SALES = """
dataset: sales
sources:
  o: {{source: shop, {schema}table: orders}}
  c: {{source: warehouse, schema: raw, table: customers}}
joins:
  - {{left: o, right: c, type: inner, on: [[o.customer_id, c.id]]}}
columns:
  - {{name: id, from: o.id}}
  - {{name: country, from: c.country}}
  - {{name: amount, from: o.amount}}
cache: {{key: [id], deadline: {deadline}}}
checks: [{{not_empty: true}}]
"""
ROWS = 200


@dataclass
class Remote:
    """The other server.

    Attributes:
        name: What it is.
        url: Of its database.
        stopped: Keeps it stopped for a block.
    """

    name: str
    url: str
    stopped: Callable[[], contextlib.AbstractContextManager[None]]

    def execute(self, *statements: str) -> None:
        """Run statements there."""
        with self.session() as run:
            for statement in statements:
                run(statement)

    @contextlib.contextmanager
    def session(self) -> Iterator[Callable[[str], Any]]:
        """Lend a session; it is given up without a word, for the server may be frozen or gone by then."""
        if self.name == "postgres":
            # The server commits without waiting for its log, and would lose the last second when it is stopped.
            connection: Any = psycopg.connect(self.url, autocommit=True, options="-c synchronous_commit=on")
            run = connection.execute
        else:
            import pymysql

            parts = urlsplit(self.url)
            connection = pymysql.connect(
                host=parts.hostname, port=parts.port or 3306, user=parts.username, password=parts.password or "",
                database=parts.path[1:], autocommit=True,
            )  # fmt: skip
            run = connection.cursor().execute
        try:
            yield run
        finally:
            with contextlib.suppress(Exception):
                connection.close()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from reading the orders, so that a build waits in the middle of its query."""
        lock = ("BEGIN", "LOCK TABLE orders") if self.name == "postgres" else ("LOCK TABLES orders WRITE",)
        with self.session() as run:
            for statement in lock:
                run(statement)
            yield


@dataclass
class Hub:
    """A project over a hub with the source `shop`.

    Attributes:
        project: The project.
        url: Its warehouse.
        remote: The source.
    """

    project: Project
    url: str
    remote: Remote

    @property
    def datasets(self) -> Datasets:
        return Datasets.of(self.project)

    def run(self, statement: str, *values: Any) -> list[Any]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    def save(self, deadline: str) -> None:
        schema = "schema: public, " if self.remote.name == "postgres" else ""
        self.datasets.save(parse_spec(SALES.format(schema=schema, deadline=deadline)), replace=True)


@dataclass
class Readers:
    """Reads a view all the time.

    Attributes:
        errors: What went wrong.
        waits_s: How long each read took.
        wrong: Results that cannot be.
    """

    url: str
    query: str
    check: Callable[[Any], bool]
    errors: list[str] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)
    wrong: list[Any] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not stop.is_set():
                began = time.monotonic()
                try:
                    row = connection.execute(self.query.encode()).fetchone()
                except psycopg.Error as error:
                    self.errors.append(str(error))
                else:
                    if not self.check(row):
                        self.wrong.append(row)
                self.waits_s.append(time.monotonic() - began)
                time.sleep(0.005)

    @property
    def p95_s(self) -> float:
        return sorted(self.waits_s)[len(self.waits_s) * 95 // 100]


@contextlib.contextmanager
def reading(url: str, query: str, check: Callable[[Any], bool], count: int = 2) -> Iterator[Readers]:
    """Read in threads for the block."""
    readers, stop = Readers(url, query, check), threading.Event()
    threads = [threading.Thread(target=readers.run, args=(stop,)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield readers
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)


def make_project(url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Make an empty project over a hub."""
    project = empty_project(folder)
    monkeypatch.setenv("DTEG_POSTGRES_URL", url)
    monkeypatch.setenv("DTEG_HOME", str(project.root))
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(folder / "config"))
    return project


@contextlib.contextmanager
def own_database(server: Remote) -> Iterator[Remote]:
    """Make a database by connections of its own: one that was kept would not outlive a stop of the server."""
    name = f"faults_{uuid.uuid4().hex[:8]}"
    server.execute(f"CREATE DATABASE {name}")
    yield Remote(server.name, server.url.rpartition("/")[0] + f"/{name}", server.stopped)
    server.execute(f"DROP DATABASE {name}")


@pytest.fixture(params=["postgres", "mariadb"])
def hub(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """An embedded hub that reads a PostgreSQL over TCP, or Debian's PostgreSQL 15 that reads MariaDB by mysql_fdw."""
    if request.param == "postgres":
        url, server = request.getfixturevalue("postgres_url"), request.getfixturevalue("postgres_tcp")
        kind, amount = Kind.POSTGRES, "numeric(12,2)"
        fill = f"INSERT INTO orders SELECT i, 1 + i % 20, i * 1.5 FROM generate_series(1, {ROWS}) AS i"
    else:
        url, server = (
            request.getfixturevalue("debian_hub_database"),
            request.getfixturevalue("mariadb_own_server"),
        )
        kind, amount = Kind.MYSQL, "decimal(12,2)"
        fill = f"INSERT INTO orders SELECT seq, 1 + seq % 20, seq * 1.5 FROM seq_1_to_{ROWS}"
    with own_database(Remote(request.param, server.url, server.stopped)) as remote:
        remote.execute(
            f"CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer, amount {amount})", fill
        )
        project = make_project(url, tmp_path / "project", monkeypatch)
        made = Hub(project, url, remote)
        made.run(CUSTOMERS)
        Sources.of(project).add(
            NewSource(slug="shop", kind=kind, url=SecretStr(remote.url), tables=["*orders"], mode="fdw")
        )
        try:
            yield made
        finally:
            Relaying(project).stop()
