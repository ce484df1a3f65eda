"""Things that three columns identify together, and names that are too long for a database."""

import csv
import random
from pathlib import Path

import psycopg
import pytest

from dteg.cli.main import run_app
from dteg.core.project import Project
from dteg.normalize import discovery
from dteg.normalize.flat import shorter
from dteg.normalize.service import Normalizer, NormalizeRequest

TARIFFS = "shipment_no carrier_code zone_code service_code tariff promise weight"
LONG = "Наименование организации, которая отправила груз в этом квартале"
TWIN = f"{LONG} (юридическое)"


def shipments(folder):
    """A file in which only carrier, zone and service together fix tariff and promise."""
    r = random.Random(11)
    keys = [(f"C{c}", f"Z{z}", f"S{s}") for c in range(5) for z in range(6) for s in range(3)]
    facts = {key: (f"tariff {r.randint(1, 40)}", f"promise {r.randint(1, 30)}") for key in keys}
    path = folder / "shipments.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(TARIFFS.split())
        for number in range(1_500):
            key = r.choice(keys)
            writer.writerow([number, *key, *facts[key], round(r.uniform(1, 90), 3)])
    return path


def without_library(monkeypatch):
    find = discovery.importlib.util.find_spec
    told = lambda name: None if name == "desbordante" else find(name)  # noqa: E731 - one line
    monkeypatch.setattr(discovery.importlib.util, "find_spec", told)


def tables(folder, **values):
    request = NormalizeRequest.model_validate(values)
    result = Normalizer.of(Project(folder)).run(request, str(shipments(folder)))
    assert result.proof.holds
    return {tuple(table.primary_key): set(table.columns) for table in result.plan.tables}


@pytest.mark.parametrize("with_library", [True, False])
def test_three_columns_identify_a_thing_where_that_is_asked_for(tmp_path, monkeypatch, with_library):
    if not with_library:
        without_library(monkeypatch)
    key = ("carrier_code", "zone_code", "service_code")
    assert list(tables(tmp_path)) == [("shipment_no",)]
    found = tables(tmp_path, determinants=3)
    assert found == {
        ("shipment_no",): {"shipment_no", *key, "weight"}, key: {*key, "tariff", "promise"},
    }  # fmt: skip


def test_many_columns_are_not_searched_for_three_without_the_library(tmp_path, monkeypatch):
    without_library(monkeypatch)
    monkeypatch.setattr(discovery, "_MOST_FOR_THREE", 5)
    result = Normalizer.of(Project(tmp_path)).run(
        NormalizeRequest.model_validate({"determinants": 3}), str(shipments(tmp_path))
    )
    assert any("three columns were not looked for" in note for note in result.plan.notes)


def test_a_long_name_is_cut_so_that_two_stay_two():
    assert shorter("a" * 63) == "a" * 63
    assert len(shorter("a" * 64)) == 63
    names = {shorter(LONG), shorter(TWIN), shorter(LONG.lower())}
    assert len(names) == 3
    assert all(len(name.encode()) <= 63 for name in names)
    assert shorter(LONG) == shorter(LONG)


def test_long_names_of_columns_and_tables_are_loaded_and_come_back(
    tmp_path, postgres_url, monkeypatch, capsys
):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    r = random.Random(5)
    senders = {f"K{number}": (f"Sender {number}", f"Legal {number}") for number in range(40)}
    with Path("freight.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["load_no", "sender_code", LONG, TWIN])
        for number in range(400):
            code = r.choice(list(senders))
            name, legal = senders[code]
            writer.writerow([number, code, "Sendr 9" if number == 7 else name, legal])
    name = "freight_of_the_last_quarter_with_all_senders_in_it"
    assert run_app(["normalize", "freight.csv", "--into", "freight", "--name", name]) == 0
    said = capsys.readouterr().out
    assert f"the column {LONG!r} is called {shorter(LONG)}" in said
    with psycopg.connect(postgres_url) as connection:
        view = connection.execute(
            f'SELECT "{shorter(LONG)}", "{shorter(TWIN)}" FROM freight."{name}_flat"'
        ).fetchall()
        (exceptions,) = connection.execute(
            "SELECT relname FROM pg_class WHERE relnamespace = 'freight'::regnamespace AND relname LIKE '%exceptions'"
        ).fetchone()
        columns = {
            row[0]
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'freight' AND table_name = 'senders'"
            )
        }
    assert len(view) == 400
    assert exceptions in said
    assert columns == {"sender_code", shorter(LONG), shorter(TWIN)}
