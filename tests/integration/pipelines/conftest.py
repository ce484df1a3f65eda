"""A warehouse on PostgreSQL, and loads into it from rows in memory or from its own tables."""

import itertools
from pathlib import Path

import psycopg
import pytest

from dteg.core.project import Project
from dteg.pipelines.plan import load_pipeline
from tests.factories import STREAM, LooksOnly, Rows, make_part, make_pipeline, run

HERE = Path(__file__).parent
TYPES = {"id": "bigint", "name": "text", "at": "timestamptz"}


def pytest_collection_modifyitems(items):
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.integration)


class Warehouse:
    """An empty database that is the warehouse of a project in a folder."""

    def __init__(self, url, folder, connection):
        self.url, self.folder, self.connection = url, folder, connection
        self._numbers = itertools.count(1)

    def sql(self, text, *parameters):
        cursor = self.connection.execute(text, parameters or None)
        return cursor.fetchall() if cursor.description else []

    def pipeline(self, rows, *, types=TYPES, table="raw.t", batch_rows=2, lock_timeout_s=60, **step):
        source = make_part(
            "extractor", Rows, streams={STREAM: {"types": types, "rows": rows}}, batch_rows=batch_rows
        )
        target = make_part("loader", "postgres", table=table, lock_timeout_s=lock_timeout_s)
        return make_pipeline(self.folder, source, target, **step)

    def load(self, rows, run_id=None, *, full_refresh=False, **options):
        """Load rows from memory; each call is a run of its own."""
        return run(
            self.pipeline(rows, **options), run_id or f"run-{next(self._numbers)}", full_refresh=full_refresh
        )

    def copy(self, source, target, run_id=None, *, decoded=False, full_refresh=False, **step):
        """Load a table or query of this database into another table of it; `decoded` takes the way through Arrow."""
        processors = [make_part("processor", LooksOnly)] if decoded else []
        config = source if isinstance(source, dict) else {"table": source}
        pipeline = make_pipeline(
            self.folder,
            make_part("extractor", "postgres", **config),
            make_part("loader", "postgres", table=target),
            processors,
            **step,
        )
        return run(pipeline, run_id or f"run-{next(self._numbers)}", full_refresh=full_refresh)

    def file(self, text, name="p"):
        """Write a pipeline file and load it."""
        path = self.folder / "pipelines" / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return load_pipeline(path, Project(self.folder))

    def checkpoint(self, table="raw.t"):
        rows = self.sql("SELECT checkpoint FROM _dteg.checkpoints WHERE target = %s", table)
        return rows[0][0] if rows else None

    def state(self, table="raw.t"):
        """Return everything that a load may change."""
        return (
            self.sql(f"SELECT xmin::text, t::text FROM {table} AS t ORDER BY 2"),
            self.sql("SELECT load_id FROM _dteg.loads ORDER BY 1"),
            self.sql("SELECT target, checkpoint::text, load_id FROM _dteg.checkpoints ORDER BY 1"),
            self.sql("SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace > 16000 ORDER BY 1"),
        )


@pytest.fixture
def warehouse(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("SET timezone TO 'UTC'")
        yield Warehouse(postgres_url, tmp_path, connection)


@pytest.fixture
def gate(monkeypatch):
    """Set what happens after the first batch of each read."""
    return lambda action: monkeypatch.setattr(Rows, "gate", staticmethod(action))
