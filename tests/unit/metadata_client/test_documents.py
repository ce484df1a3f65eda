"""Documents: checked like those that publish them, shared without being changed; and an import that costs little."""

import copy
import json
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from dteg.metadata import models
from dteg.metadata.client.documents import TamperedError, checked, content_sha256, files_of, parse

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HEAVY = {
    "pydantic",
    "pyarrow",
    "httpx",
    "obstore",
    "psycopg",
    "sqlglot",
    "ssl",
    "urllib.request",
    "typer",
    "asyncio",
}


def test_the_checksum_is_that_of_the_publisher():
    manifest = models.CacheManifest(generated_at=NOW, stats={"tables": 1.5}).sealed()
    assert checked(models.stored(manifest), "m")["content_sha256"] == manifest.content_sha256


def test_another_value_is_refused():
    data = models.stored(models.CacheManifest(generated_at=NOW, cache_version=7).sealed())
    with pytest.raises(TamperedError, match="m: its checksum"):
        checked(data.replace(b'"cache_version": 7', b'"cache_version": 8'), "m")


def test_keys_of_a_later_version_are_kept():
    document = {"new_key": [1], "tables": []}
    document["content_sha256"] = content_sha256(document)
    assert checked(json.dumps(document).encode(), "m")["new_key"] == (1,)


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_document_is_refused(data):
    with pytest.raises(TamperedError):
        parse(data, "m")


def test_nobody_can_change_what_all_share():
    found = parse(b'{"a": {"b": [1, {"c": 2}, [3]]}}', "m")
    for change in (
        lambda: found.update(x=1),
        lambda: found["a"].pop("b"),
        found["a"]["b"][1].clear,
    ):
        with pytest.raises(TypeError, match="deepcopy"):
            change()
    with pytest.raises(TypeError):
        found["a"]["x"] = 1
    with pytest.raises(TypeError):
        found |= {"x": 1}
    own = copy.deepcopy(found)
    own["a"]["b"].append(4)
    assert json.loads(json.dumps(found)) == {"a": {"b": [1, {"c": 2}, [3]]}}


@pytest.mark.parametrize("file", ["../x", "/etc/passwd", "a/../../b", "a//b", "a\\b", "", "a/.", "a\nb"])
def test_a_path_out_of_the_cache_is_refused(file):
    with pytest.raises(TamperedError):
        files_of({"tables": [{"file": file, "sha256": "0"}]}, "m")


@pytest.mark.parametrize("manifest", [{}, {"tables": [1]}, {"tables": [{"file": "a"}]}, {"tables": None}])
def test_a_manifest_without_tables_is_refused(manifest):
    with pytest.raises(TamperedError):
        files_of(manifest, "m")


def test_the_import_is_quick():
    code = (
        "import time; began = time.process_time(); import sys; import dteg.metadata.client; "
        "print((time.process_time() - began) * 1000, *sys.modules)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        ).stdout.split()
        for _ in range(3)
    ]
    assert not HEAVY & set(runs[0])
    assert min(float(took) for took, *_ in runs) < 1000  # ms of a core; about 50 where nothing else runs
