"""Caches as the publisher makes them, and servers that give them."""

from datetime import UTC, datetime, timedelta

from dteg.metadata.models import (
    CacheManifest,
    ColumnEntry,
    Example,
    TableDocument,
    TableEntry,
    fingerprint_of,
)
from dteg.metadata.publish import Publisher
from dteg.metadata.store import open_store
from dteg.testing.http_server import Reply

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self):
        self.now = NOW.timestamp()

    def __call__(self):
        return self.now

    def move(self, **by):
        self.now += timedelta(**by).total_seconds()


def entry(name, columns=("id", "net"), note=""):
    table = TableEntry(
        table_id=f"public.{name}", last_updated=NOW, description=note,
        columns=[ColumnEntry(name=each, type="bigint") for each in columns],
    )  # fmt: skip
    return table.model_copy(update={"fingerprint_sha256": f"{name}{','.join(columns)}"})


def example(question, sql, *tables, **more):
    values = {
        "tables": [each.table_id for each in tables], "status": "valid", "sql_skeleton": sql,
        "schema_fingerprint": fingerprint_of(tables), **more,
    }  # fmt: skip
    return Example(question=question, sql=sql, **values)


def publish(folder, tables, examples=()):
    """Publish a version, and return its manifest."""
    documents = [
        TableDocument(
            generated_at=NOW,
            table=table,
            examples=[each for each in examples if table.table_id in each.tables],
        ).sealed()
        for table in tables
    ]
    draft = CacheManifest(generated_at=NOW, expires_at=NOW + timedelta(hours=24))
    return Publisher(open_store(str(folder)), lambda: NOW).publish(draft, documents, {}, {})


def serve(server, folder, prefix="/cache", token=""):
    """Serve the files of a folder, with ETags."""

    def give(seen):
        if token and seen.headers.get("authorization") != f"Bearer {token}":
            return Reply({}, 401)
        file = folder / seen.path.removeprefix(f"{prefix}/")
        if not file.is_file():
            return Reply({}, 404)
        data = file.read_bytes()
        headers = {"ETag": f'"{hash(data)}"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
        if seen.headers.get("if-none-match") == headers["ETag"]:
            return Reply(b"", 304, headers)
        return Reply(data, 200, headers)

    for file in folder.rglob("*"):
        if file.is_file():
            server.route(f"{prefix}/{file.relative_to(folder).as_posix()}", give)
    server.route(f"{prefix}/manifest.json", give)
