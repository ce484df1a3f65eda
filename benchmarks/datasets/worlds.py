"""Servers, a project, and the same tables on both sides of a join."""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from dteg.core.control import close_kept
from dteg.core.embedded import EmbeddedPostgres
from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from dteg.sources.models import NewSource
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources

SHOP = "shop"
# Longer than anything here takes.
MOST_S = 120.0
COUNTRIES = "(ARRAY['KZ', 'DE', 'FR', 'JP', 'BR', 'IN', 'CA', 'NO'])[1 + i % 8]"
STATES = "(ARRAY['new', 'paid', 'sent', 'back'])[1 + i % 4]"
# What the hub holds, and what the other server holds: as many rows each.
CUSTOMERS = f"""
CREATE TABLE public.customers AS
SELECT i AS id, 'Customer ' || i AS name, {COUNTRIES} AS country, i % 100 AS segment FROM generate_series(1, %s) AS i
"""
ORDERS = f"""
CREATE TABLE orders AS
SELECT i AS id, 1 + (i::bigint * 7919) %% %s AS customer_id, ((i * 37 %% 100000) / 100.0)::numeric(12, 2) AS amount,
       {STATES.replace("%", "%%")} AS status, timestamp '2026-01-01' + i * interval '20 seconds' AS created_at
FROM generate_series(1, %s) AS i
"""
# Takes a millisecond for each row, wherever it is read: long enough for anything to happen meanwhile.
SLOW = (
    "CREATE VIEW slow_orders AS SELECT id, amount, status FROM orders WHERE pg_sleep(0.001)::text IS NOT NULL"
)
SLOW_MYSQL = "CREATE VIEW slow_orders AS SELECT id, amount, status FROM orders WHERE sleep(0.001) = 0"

BY_COUNTRY = """
dataset: by_country
sources:
  o: {source: shop, schema: SCHEMA, table: orders}
  c: {source: warehouse, schema: public, table: customers}
joins: [{left: o, right: c, type: inner, on: [[o.customer_id, c.id]]}]
group_by: [{name: country, from: c.country}, {name: status, from: o.status}]
measures: [{name: revenue, fn: sum, of: o.amount}, {name: orders, fn: count}]
cache: {key: [country, status], deadline: 120s}
"""
JOINED = """
dataset: joined
sources:
  o: {source: shop, schema: SCHEMA, table: orders}
  c: {source: warehouse, schema: public, table: customers}
joins: [{left: o, right: c, type: left, on: [[o.customer_id, c.id]]}]
columns:
  - {name: order_id, from: o.id}
  - {name: customer, from: c.name}
  - {name: country, from: c.country}
  - {name: status, from: o.status}
  - {name: amount, from: o.amount}
  - {name: created_at, from: o.created_at}
cache: {key: [order_id], deadline: 120s, keep_generations: 3}
checks: [{not_empty: true}]
"""
FROM_SLOW = """
dataset: from_slow
sources: {o: {source: shop, schema: SCHEMA, table: slow_orders}}
columns: [{name: id, from: o.id}, {name: amount, from: o.amount}]
cache: {deadline: 5s}
"""
DEADLINE_S = 5.0


@dataclass
class World:
    """A hub with a project, and a source.

    Attributes:
        project: The project; its warehouse is the hub.
        hub: URL of the hub.
        rows: Rows of each large table.
        schema: Schema of the source's tables; empty where it has none.
    """

    project: Project
    hub: str
    rows: int
    schema: str = "public"

    @property
    def datasets(self) -> Datasets:
        return Datasets.of(self.project)

    @property
    def sources(self) -> Sources:
        return Sources.of(self.project)

    def add_shop(self, kind: str, url: str, **options: Any) -> Any:
        """Link the source."""
        new = NewSource.model_validate({"slug": SHOP, "kind": kind, "url": url, **options})
        return self.sources.add(new)

    def save(self, text: str) -> str:
        """Save a definition for the source at hand; return its slug."""
        schema = f"schema: {self.schema}, " if self.schema else ""
        spec = parse_spec(text.replace("schema: SCHEMA, ", schema))
        self.datasets.save(spec, replace=True)
        return spec.dataset

    @contextlib.contextmanager
    def reading(self) -> Iterator[psycopg.Connection[Any]]:
        """Connect to the hub as a refresh does: with the way to the source open, and what it asks of a session."""
        with (
            self.sources.link_deadlines([SHOP, "warehouse"], MOST_S) as settings,
            psycopg.connect(self.hub, autocommit=True) as connection,
        ):
            for name, value in {**settings, "work_mem": "256MB"}.items():
                connection.execute("SELECT set_config(%s, %s, false)", [name, value])
            yield connection

    def heal(self) -> None:
        """Let the source be asked at once: after some failures it is left alone for a while."""
        probe = self.sources.test(SHOP)
        if not probe.ok:
            raise SystemExit(f"the source does not answer any more: {probe.message}")

    def sessions(self) -> int:
        """Return how many sessions of the hub are at work, those of the relay's making included."""
        with psycopg.connect(self.hub, autocommit=True) as connection:
            found = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE backend_type IN ('client backend', 'parallel worker')"
                " AND pid <> pg_backend_pid() AND state <> 'idle'"
            ).fetchone()
        return int(found[0]) if found else 0


@contextlib.contextmanager
def embedded_hub() -> Iterator[str]:
    """Start an embedded server as a project has it, which waits for the disk; yield its URL."""
    with tempfile.TemporaryDirectory(prefix="dteg-bench-") as folder:
        files = EmbeddedPostgres.at(Path(folder))
        try:
            yield files.start()
        finally:
            files.remove()


@contextlib.contextmanager
def project_of(hub: str) -> Iterator[Project]:
    """Make an empty project whose warehouse is `hub`, for this process and its children."""
    with tempfile.TemporaryDirectory(prefix="dteg-bench-project-") as folder:
        (Path(folder) / "pipelines").mkdir()
        told = {
            "DTEG_POSTGRES_URL": hub,
            "DTEG_HOME": folder,
            "DTEG_CONFIG_DIR": str(Path(folder) / "config"),
        }
        with environment(told):
            project = Project.find()
            try:
                yield project
            finally:
                Relaying(project).stop()
                close_kept()


@contextlib.contextmanager
def environment(values: Mapping[str, str]) -> Iterator[None]:
    """Set variables for the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def fill_hub(hub: str, rows: int) -> None:
    """Make the customers."""
    with psycopg.connect(hub, autocommit=True) as connection:
        connection.execute(CUSTOMERS.replace("%s", str(rows)).encode())
        connection.execute("ALTER TABLE public.customers ADD PRIMARY KEY (id)")
        connection.execute("VACUUM (ANALYZE) public.customers")


def fill_postgres(url: str, rows: int) -> None:
    """Make the orders in PostgreSQL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ORDERS.replace("%s", str(rows)).replace("%%", "%").encode())
        connection.execute("ALTER TABLE orders ADD PRIMARY KEY (id)")
        connection.execute("VACUUM (ANALYZE) orders")
        connection.execute(SLOW)


def fill_mariadb(cursor: Any, rows: int) -> None:
    """Make the orders in MariaDB."""
    cursor.execute(
        f"""CREATE TABLE orders (PRIMARY KEY (id)) AS
        SELECT seq AS id, 1 + (seq * 7919) %% {rows} AS customer_id, CAST((seq * 37 %% 100000) / 100 AS decimal(12, 2)) AS amount,
               ELT(1 + seq %% 4, 'new', 'paid', 'sent', 'back') AS status,
               TIMESTAMP('2026-01-01') + INTERVAL seq * 20 SECOND AS created_at
        FROM seq_1_to_{rows}""".replace("%%", "%")
    )
    cursor.execute("ANALYZE TABLE orders")
    cursor.execute(SLOW_MYSQL)


def failure_of(world: World, slug: str) -> tuple[float, str]:
    """Refresh a dataset that cannot be refreshed; return the seconds until that was known, and the message.

    Raises:
        SystemExit: It worked, so that nothing was measured.
    """
    began = time.perf_counter()
    try:
        world.datasets.refresh(slug)
    except DtegError as error:
        return time.perf_counter() - began, str(error)
    raise SystemExit(f"the refresh of {slug} did not fail: nothing is measured")
