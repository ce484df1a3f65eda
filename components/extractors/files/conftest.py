"""What the tests of this extractor share: a folder, and files in it."""

import io
import zipfile

import pyarrow.parquet as pq
import pytest

from dteg.connectors.base import Context
from dteg.core.batch import sql_type_of
from dteg.core.errors import InputError
from dteg.core.project import Project

from .files import FilesConfig, FilesExtractor


@pytest.fixture
def folder(tmp_path):
    return tmp_path


def make_extractor(folder, path="data.csv", content=None, **config):
    if content is not None:
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else content.encode())
    return FilesExtractor(FilesConfig(path=path, **config), Context(Project(folder)))


def read(extractor, since=None):
    """Return (schema, rows, dead letters)."""
    stream = next(iter(extractor.streams()))
    rows = [row for batch in extractor.read(stream, since) for row in batch.to_pylist()]
    return stream.schema, rows, extractor.context.dead_letters


def types(schema):
    return {column.name: sql_type_of(column) or str(column.type) for column in schema}


def input_error(extractor):
    with pytest.raises(InputError) as caught:
        read(extractor)
    return caught.value


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "."), content)
    return buffer.getvalue()


def parquet_bytes(table):
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()
