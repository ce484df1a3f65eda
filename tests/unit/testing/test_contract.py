"""The contract suite turns red for connectors that break a promise, and only at that promise.

Each case changes one thing in a connector that passes, and names the tests that must fail.
"""

import uuid

import pytest

EXTRACTOR = """
import pyarrow as pa
from pydantic import Field
from dteg.connectors.base import Capabilities, ConnectorConfig, Extractor, Stream
from dteg.core.config import Secret
from dteg.core.errors import PermanentError

SCHEMA = pa.schema([pa.field("id", pa.int64()), pa.field("name", pa.string())])

class NumbersConfig(ConnectorConfig):
    rows: int = Field(5, ge=1, description="How many rows.")
    password: Secret | None = Field(None, description="For the look of it.")

class Numbers(Extractor[NumbersConfig]):
    capabilities = Capabilities(incremental=True, resumable=True)
    next = 1

    @classmethod
    def stream_names(cls, config):
        return ["numbers"]

    def check(self):
        if self.config.rows > 100:
            raise PermanentError("more than 100 rows")

    def streams(self):
        yield Stream("numbers", SCHEMA, ("id",), "id")

    def read(self, stream, since):
        start = 1 if since is None else since.cursor or since.position["next"]
        for first in range(start, self.config.rows + 1, 2):
            ids = list(range(first, min(first + 2, self.config.rows + 1)))
            self.next = ids[-1] + 1
            yield pa.RecordBatch.from_pydict({"id": ids, "name": [f"n{i}" for i in ids]}, schema=SCHEMA)

    def checkpoint(self, stream):
        return {"next": self.next}
"""

PROCESSOR = """
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field
from dteg.connectors.base import Capabilities, ConnectorConfig, Processor
from dteg.core.errors import ConfigError

class PositiveConfig(ConnectorConfig):
    column: str = Field(description="The column that must be positive.")

class Positive(Processor[PositiveConfig]):
    capabilities = Capabilities()

    def output_schema(self, schema):
        if self.config.column not in schema.names:
            raise ConfigError("no such column")
        return schema

    def process(self, batch):
        good = pc.greater(batch.column(self.config.column), 0)
        for index in pc.indices_nonzero(pc.invert(good)).to_pylist():
            self.context.reject("not positive", f"row {index}", {"row": index})
        return batch.filter(good)
"""

LOADER = """
import threading
from dteg.connectors.base import Checkpoint
from dteg.testing.memory import MemoryLoader, MemorySession, MemoryStore

class Session(MemorySession):
    pass

class Store(MemoryLoader):
    def open(self, plan):
        return Session(MemoryStore.named(self.config.store), plan)
"""

MANIFEST = """
name: numbers
version: 1.0.0
kind: {kind}
entry_point: {entry_point}
author: Tests
description: A connector for tests of the suite.
category: other
"""

README = """# A connector
## Overview
## Configuration
`rows`, `password`, `column`
## Examples
## Troubleshooting
"""

SUITE = """
import uuid
import pytest
from dteg.testing.contract import contract_tests
from dteg.testing.memory import MemoryStore
from dteg.testing.samples import make_batch
from {package}.connector import {cls}

@pytest.fixture
def new_store():
    return {{"store": uuid.uuid4().hex}}

TestIt = contract_tests({cls}, {arguments})
"""

KINDS = {
    "extractor": (EXTRACTOR, "Numbers", "config={}, bad_config=[{'rows': 0}], broken=[{'rows': 101}]"),
    "processor": (
        PROCESSOR, "Positive",
        "config={'column': 'id'}, sample=[make_batch(id=[1, -2, 3]), make_batch(id=[-1])]",
    ),
    "loader": (
        LOADER, "Store",
        "config='new_store', packaged=False, read_back=lambda c, t: MemoryStore.named(c.store).table(str(t))",
    ),
}  # fmt: skip


class Recorder:
    def __init__(self):
        self.failed = set()
        self.passed = 0

    def pytest_runtest_logreport(self, report):
        if report.failed:
            self.failed.add(report.nodeid.rpartition("::")[2])
        self.passed += report.when == "call" and report.passed


@pytest.fixture
def run_suite(tmp_path, monkeypatch):
    def run(kind, *changes):
        code, cls, arguments = KINDS[kind]
        package = f"connector_{uuid.uuid4().hex}"
        folder = tmp_path / package
        folder.mkdir()
        files = {
            "connector.py": code,
            "dteg.yaml": MANIFEST.format(kind=kind, entry_point=f"connector:{cls}"),
            "README.md": README,
            "test_connector.py": SUITE.format(package=package, cls=cls, arguments=arguments),
        }
        for name, old, new in changes:
            assert old in files[name]
            files[name] = files[name].replace(old, new, 1)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        config = tmp_path / "pytest.ini"
        config.write_text("[pytest]\nmarkers = contract\n")
        recorder = Recorder()
        options = [
            "-c",
            str(config),
            "--import-mode=importlib",
            "-p",
            "no:cacheprovider",
            "-q",
            "-s",
            "--tb=no",
        ]
        pytest.main([*options, str(folder)], plugins=[recorder])
        return recorder

    return run


@pytest.mark.parametrize("kind", KINDS)
def test_good_connector_passes(run_suite, kind):
    done = run_suite(kind)
    assert not done.failed
    assert done.passed >= 15


def test_heavy_import_is_found(run_suite):
    lazy = ("test_connector.py", "config={}", "config={}, lazy=('wave',)")
    assert not run_suite("extractor", lazy).failed
    heavy = code("import pyarrow as pa", "import pyarrow as pa\nimport wave")
    assert run_suite("extractor", lazy, heavy).failed == {"test_import_is_light"}


def code(old, new):
    return ("connector.py", old, new)


def method(body):
    return code("class Session(MemorySession):\n    pass\n", f"class Session(MemorySession):\n{body}\n")


EXTRACTOR_FAULTS = {
    "field without description": (code(', description="How many rows."', ""), {"test_config_fields_are_described"}),
    "password as plain text": (
        code("password: Secret | None", "password: str | None"),
        {"test_secret_fields_have_the_type_secret"},
    ),
    "unknown keys allowed": (
        code("    rows: int", '    model_config = {"extra": "ignore"}\n    rows: int'),
        {"test_config_refuses_unknown_keys"},
    ),
    "config not frozen": (
        code("    rows: int", '    model_config = {"frozen": False}\n    rows: int'),
        {"test_config_is_a_frozen_model"},
    ),
    "bad value accepted": (code("ge=1, ", ""), {"test_config_refuses_bad_values"}),
    "secret in repr": (
        code("    next = 1", "    def __repr__(self):\n        return self.config.password.reveal()\n    next = 1"),
        {"test_secrets_are_masked"},
    ),
    "driver error": (code("PermanentError(", "ValueError("), {"test_broken_config_raises_our_errors"}),
    "secret in error": (
        code('PermanentError("more than 100 rows")', "PermanentError(self.config.password.reveal())"),
        {"test_broken_config_raises_our_errors"},
    ),
    "secret in the cause of an error": (
        code(
            'raise PermanentError("more than 100 rows")',
            'raise PermanentError("x") from ValueError(self.config.password.reveal())',
        ),
        {"test_broken_config_raises_our_errors"},
    ),
    "broken config works": (code("> 100", "> 1000"), {"test_broken_config_raises_our_errors"}),
    "other stream name": (code('["numbers"]', '["other"]'), {"test_stream_names_equal_streams"}),
    "key that is no column": (code('("id",)', '("key",)'), {"test_keys_and_cursors_are_columns"}),
    "other type in batches": (
        code("schema=SCHEMA)", 'schema=pa.schema([("id", pa.int32()), ("name", pa.string())]))'),
        {"test_batches_have_the_stream_schema"},
    ),
    "rows out of a running counter": (
        code('f"n{i}" for i in ids', 'f"n{self.next + id(self)}" for i in ids'),
        {"test_resume_from_cursor_loses_nothing", "test_resume_from_position_loses_nothing"},
    ),
    "second read continues": (
        code("start = 1 if since is None", "start = self.next if since is None"),
        {"test_reading_twice_gives_the_same_rows"},
    ),
    "cursor taken as exclusive": (code("since.cursor or", "since.cursor and since.cursor + 1 or"),
        {"test_resume_from_cursor_loses_nothing"}),
    "cursor ignored": (code("since.cursor or since.position[", "1 if since.cursor else since.position["),
        {"test_resume_from_cursor_loses_nothing"}),
    "position one too far": (code("self.next = ids[-1] + 1", "self.next = ids[-1] + 2"),
        {"test_resume_from_position_loses_nothing"}),
    "position one too early": (code("self.next = ids[-1] + 1", "self.next = ids[-1]"),
        {"test_resume_at_the_end_repeats_nothing"}),
    "position is not JSON": (code('{"next": self.next}', '{"next": self.next, "x": {1}}'),
        {"test_resume_at_the_end_repeats_nothing", "test_resume_from_position_loses_nothing"}),
    "no capabilities": (code("    capabilities = Capabilities(incremental=True, resumable=True)\n", ""),
        {"test_capabilities_are_declared", "test_keys_and_cursors_are_columns"}),
    "closes once only": (
        code("    next = 1", "    next = 1\n    def close(self):\n        del self.context"),
        {"test_close_may_be_called_twice", "test_close_after_a_partial_read"},
    ),
    "manifest names another class": (("dteg.yaml", "connector:Numbers", "connector:Other"), {"test_manifest_names_this_class"}),
    "manifest of another kind": (("dteg.yaml", "extractor", "loader"), {"test_manifest_names_this_class"}),
    "manifest not valid": (("dteg.yaml", "category:", "shelf:"), {"test_manifest_names_this_class"}),
    "field missing in README": (("README.md", "`rows`, ", ""), {"test_readme_explains_every_field"}),
    "heading missing in README": (("README.md", "## Troubleshooting", ""), {"test_readme_explains_every_field"}),
}  # fmt: skip

PROCESSOR_FAULTS = {
    "schema that lies": (
        code("        return schema\n", '        return schema.append(pa.field("x", pa.int8()))\n'),
        {"test_output_schema_is_the_schema_of_the_output", "test_empty_batch_stays_empty"},
    ),
    "rows vanish": (code("self.context.reject(", "(lambda *a: None)("), {"test_no_row_vanishes"}),
    "claims to keep all rows": (code("Capabilities()", "Capabilities(row_preserving=True)"), {"test_no_row_vanishes"}),
    "KeyError for a missing column": (code("ConfigError(", "KeyError("), {"test_missing_column_is_a_config_error"}),
    "payload that is not JSON": (code('{"row": index}', '{"row": {index}}'), {"test_dead_letters_can_be_stored"}),
    "metadata lost": (
        code(
            "return batch.filter(good)",
            "return pa.RecordBatch.from_arrays(batch.filter(good).columns, names=batch.schema.names)",
        ),
        {"test_untouched_columns_keep_their_metadata"},
    ),
    "fails on an empty batch": (
        code("good = pc", "batch.column(0)[0]\n        good = pc"),
        {"test_empty_batch_stays_empty"},
    ),
    "random order": (
        code("        return batch.filter(good)", "        return batch.filter(good).append_column('r', pa.array([id(self)] * sum(good.to_pylist())))"),
        {"test_two_runs_agree", "test_output_schema_is_the_schema_of_the_output", "test_empty_batch_stays_empty"},
    ),
}  # fmt: skip

LOADER_FAULTS = {
    "checkpoint lost": (
        method("    def publish(self, checkpoint):\n        return super().publish(Checkpoint())"),
        {"test_publish_saves_the_checkpoint", "test_nothing_is_visible_before_publish"},
    ),
    "visible at once": (
        method("    def write(self, batch):\n        super().write(batch)\n"
               "        self.old = self.store.tables.get(self._table)\n"
               "        self.store.tables[self._table] = self._merged()[0]\n"
               "    def publish(self, checkpoint):\n"
               "        if hasattr(self, 'old'):\n            self.store.tables[self._table] = self.old\n"
               "        return super().publish(checkpoint)"),
        {"test_nothing_is_visible_before_publish", "test_too_many_bad_rows_change_nothing"},
    ),
    "load id forgotten": (method("    committed = None"), {"test_load_id_counts_once"}),
    "replace appends": (
        code("        return Session", "        object.__setattr__(plan, 'disposition', plan.disposition.replace('replace', 'append'))\n        return Session"),
        {"test_replace_replaces"},
    ),
    "merge replaces": (
        code("        return Session", "        object.__setattr__(plan, 'disposition', plan.disposition.replace('merge', 'replace'))\n        return Session"),
        {"test_merge_updates_and_inserts"},
    ),
    "bad rows without limit": (
        method("    def reject(self, letters):\n        self._letters.extend(letters)"),
        {"test_too_many_bad_rows_change_nothing"},
    ),
    "bad rows not counted": (method("    def reject(self, letters):\n        pass"),
        {"test_too_many_bad_rows_change_nothing", "test_few_bad_rows_are_counted"}),
    "policy ignored": (
        code("        return Session", "        object.__setattr__(plan, 'schema_policy', 'evolve')\n        return Session"),
        {"test_freeze_refuses_columns"},
    ),
    "loads do not wait": (
        method("    def __init__(self, store, plan):\n        store.running.clear()\n        super().__init__(store, plan)"),
        {"test_loads_of_one_stream_wait_for_each_other"},
    ),
    "published by closing": (
        method("    def close(self):\n        if self._batches and self.plan.load_id not in self.store.loads:\n            self.publish(Checkpoint(2))\n        super().close()"),
        {"test_nothing_is_visible_before_publish", "test_too_many_bad_rows_change_nothing"},
    ),
}  # fmt: skip

FAULTS = [
    pytest.param(kind, *fault, id=f"{kind}: {name}")
    for kind, faults in (
        ("extractor", EXTRACTOR_FAULTS), ("processor", PROCESSOR_FAULTS), ("loader", LOADER_FAULTS),
    )
    for name, fault in faults.items()
]  # fmt: skip


@pytest.mark.parametrize(("kind", "change", "expected"), FAULTS)
def test_fault_is_found(run_suite, kind, change, expected):
    assert run_suite(kind, change).failed == expected
