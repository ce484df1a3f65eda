"""Which columns hold the same thing several times, by their names; and objects of JSON as columns."""

import json

import pytest

from dteg.normalize.first_form import repeated_groups
from dteg.normalize.flat import TABLE, Flat, workspace
from dteg.normalize.nested import unfold


@pytest.mark.parametrize(
    ("columns", "found"),
    [
        ("phone1 phone2", {"phone": ["phone"]}),
        ("phone_01 phone_02 note", {"phone": ["phone"]}),
        ("item1_sku item1_qty item2_sku item2_qty", {"item": ["sku", "qty"]}),
        ("item1 item1_qty item2 item2_qty", {"item": ["item", "qty"]}),
        ("item_sku1 item_qty1 item_sku2 item_qty2", {"item": ["item_sku", "item_qty"]}),
        ("a1 a3", {}),
        ("phone1", {}),
        ("gene_164_0 gene_719_1", {}),
        ("y2024 y2025", {}),
    ],
)
def test_repeated_groups_by_their_names(columns, found):
    names = columns.split()
    groups = repeated_groups(dict.fromkeys(names, "VARCHAR"), names)
    assert {group.name: list(group.members) for group in groups} == found


def test_columns_of_different_types_are_no_group():
    assert repeated_groups({"a1": "DATE", "a2": "VARCHAR"}, ["a1", "a2"]) == []


def unfolded(folder, rows):
    with workspace(folder) as connection:
        connection.execute(f"CREATE TABLE {TABLE} (id INTEGER, v VARCHAR)")
        for number, row in enumerate(rows):
            text = row if row is None or isinstance(row, str) else json.dumps(row)
            connection.execute(f"INSERT INTO {TABLE} VALUES (?, ?)", [number, text])
        notes = unfold(connection)
        return Flat(connection, "made").types, connection.execute(f"FROM {TABLE}").fetchall(), notes


def test_objects_become_columns_of_their_types(tmp_path):
    rows = [{"n": 1, "who": {"x'/~y": 1.5, "ok": True}, "mix": 1}, None, {"who": {"ok": False}, "mix": "a"}]
    types, found, notes = unfolded(tmp_path, rows)
    assert types == {
        "id": "INTEGER", "v_n": "BIGINT", "v_who_x'/~y": "DOUBLE", "v_who_ok": "BOOLEAN", "v_mix": "VARCHAR",
    }  # fmt: skip
    assert found == [(0, 1, 1.5, True, "1"), (1, None, None, None, None), (2, None, None, False, "a")]
    assert notes[0] == "the parts of v became v_n, v_who, v_mix"


@pytest.mark.parametrize(
    "rows", [["{no json", {"a": 1}], [{}], [None], [[1, 2]], [{str(n): 1 for n in range(60)}]]
)
def test_what_is_no_object_stays(tmp_path, rows):
    types, _, notes = unfolded(tmp_path, rows)
    assert types == {"id": "INTEGER", "v": "VARCHAR"}
    assert notes == (["v: lists of JSON stay texts"] if rows == [[1, 2]] else [])
