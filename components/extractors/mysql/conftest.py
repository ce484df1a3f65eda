"""What the tests of this extractor share: a database of a real server, and extractors from it."""

from urllib.parse import urlsplit

import pymysql
import pytest

from dteg.connectors import Checkpoint, Stream
from dteg.testing.samples import make_context

from .mysql import MysqlExtractor, MysqlExtractorConfig

URL = "secret://env/TEST_MARIADB"
ORDERS = """
CREATE TABLE orders (id bigint PRIMARY KEY, name varchar(50), price decimal(8,2), seen_at timestamp NULL);
INSERT INTO orders VALUES (1, 'a', 1.5, '2026-01-01'), (2, NULL, NULL, '2026-01-02'), (3, '', -1, '2026-01-02'),
    (4, 'line\n"quoted", \\\\N', 0, NULL);
CREATE VIEW cheap AS SELECT id, name FROM orders WHERE price < 1;
"""


def connected(url):
    parts = urlsplit(url)
    return pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password=parts.password,
        database=parts.path.strip("/"), charset="utf8mb4", autocommit=True, init_command="SET time_zone = '+00:00'",
    )  # fmt: skip


class Database:
    """An empty database whose URL the extractor finds in the environment."""

    def __init__(self, url):
        self.url, self.name = url, urlsplit(url).path.strip("/")
        self.connection = connected(url)

    def sql(self, text, *values):
        with self.connection.cursor() as cursor:
            for statement in filter(str.strip, text.split(";\n")):
                cursor.execute(statement, values or None)
            return cursor.fetchall()


@pytest.fixture
def database(mariadb_url, monkeypatch):
    monkeypatch.setenv("TEST_MARIADB", mariadb_url)
    database = Database(mariadb_url)
    database.sql(ORDERS)
    yield database
    database.connection.close()


@pytest.fixture
def make(database, tmp_path):
    made = []

    def extractor(**config):
        made.append(MysqlExtractor(MysqlExtractorConfig(**{"url": URL, **config}), make_context(tmp_path)))
        return made[-1]

    yield extractor
    for each in made:
        each.close()


def read(extractor, cursor_field=None, since=None):
    (stream,) = extractor.streams()
    stream = Stream(stream.name, stream.schema, stream.primary_key, cursor_field)
    checkpoint = Checkpoint(cursor=since) if since is not None else None
    return [row for batch in extractor.read(stream, checkpoint) for row in batch.to_pylist()]
