import json

import pytest

from dteg.connectors import Stream
from dteg.core.errors import InputError
from dteg.testing import make_context
from dteg.testing.contract import contract_tests

from .acme import AcmeConfig, AcmeExtractor

RECORDS = [{"id": number, "name": f"record {number}", "tags": ["a"]} for number in range(1, 6)]


@pytest.fixture
def config(tmp_path):
    lines = [json.dumps(record) for record in RECORDS]
    (tmp_path / "records.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {"path": "records.jsonl", "columns": ["id", "name"], "batch_rows": 2}


# Everything that each extractor owes: stable streams, batches that fit their schema, errors of dteg, and more.
TestAcme = contract_tests(
    AcmeExtractor,
    config="config",
    bad_config=[{"path": ""}, {"columns": []}, {"batch_rows": 0}],
    broken=[{"path": "absent.jsonl"}],
)


def read(tmp_path, config):
    extractor = AcmeExtractor(AcmeConfig(**config), make_context(tmp_path))
    (stream,) = extractor.streams()
    assert isinstance(stream, Stream)
    return [row for batch in extractor.read(stream, None) for row in batch.to_pylist()], extractor


def test_values_become_texts(tmp_path, config):
    rows, _ = read(tmp_path, {**config, "columns": ["id", "tags", "absent"]})
    assert rows[0] == {"id": "1", "tags": '["a"]', "absent": None}
    assert len(rows) == len(RECORDS)


def test_a_line_that_is_no_record_is_set_aside(tmp_path, config):
    with (tmp_path / "records.jsonl").open("a", encoding="utf-8") as file:
        file.write("[1, 2]\n{broken\n")
    rows, extractor = read(tmp_path, config)
    assert len(rows) == len(RECORDS)
    assert [letter.position for letter in extractor.context.dead_letters] == [
        "records.jsonl (row 6)",
        "records.jsonl (row 7)",
    ]


def test_bytes_that_are_no_text_are_an_input_error(tmp_path, config):
    (tmp_path / "records.jsonl").write_bytes(b'{"id": "\xff"}\n')
    with pytest.raises(InputError, match=r"records\.jsonl"):
        read(tmp_path, config)
