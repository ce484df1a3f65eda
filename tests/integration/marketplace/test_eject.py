"""A copy of a component in the project: changed by its user, and brought up to date without losing the changes."""

from pathlib import Path

import pytest

from dteg.marketplace.environment import find_uv

COPY = "components/extractors/numbers"


@pytest.fixture
def ejected(scratch, market, wheels, mirror):
    market.publish(wheels(description="Counts from one on"))
    scratch.run("install", "numbers", "--registry", mirror())
    scratch.run("eject", "numbers", "--registry", mirror())
    return scratch.project / COPY


def test_a_copy_takes_the_place_of_the_package(scratch, ejected):
    assert (ejected / "dteg.yaml").is_file()
    assert not (ejected / "dteg.schema.json").exists()
    assert not (ejected / "for_dagster.py").exists()
    found = scratch.python_says(
        "from dteg.connectors.discovery import discover, find; from dteg.core.project import Project;"
        "print(find('extractor', 'dteg://streaming/numbers', discover(Project.find())).folder)"
    )
    assert found == str(ejected)
    assert f"copy in {COPY}" in scratch.run("list").out


def test_a_second_eject_keeps_the_copy(scratch, ejected, mirror):
    (ejected / "README.md").write_text("mine")
    done = scratch.run("eject", "numbers", "--registry", mirror(), code=1)
    assert "is there already" in done.err
    assert (ejected / "README.md").read_text() == "mine"


@pytest.mark.parametrize("git", [True, False])
def test_an_update_is_merged_into_the_copy(scratch, market, wheels, mirror, ejected, git):  # noqa: PLR0917 - fixtures
    readme = ejected / "README.md"
    readme.write_text(readme.read_text() + "\nMy own last line.\n")
    market.publish(wheels(version="1.1.0", description="Counts from two on"))
    path = {} if git else {"PATH": str(Path(find_uv()).parent)}
    done = scratch.run("update", "numbers", "--registry", mirror(), **path)
    assert f"{COPY}: 1.0.0 -> 1.1.0" in done.err
    assert "My own last line." in readme.read_text()
    assert "version: 1.1.0" in (ejected / "dteg.yaml").read_text()
    assert "Counts from two on" in (ejected / "dteg.yaml").read_text()
    again = scratch.run("update", "numbers", "--registry", mirror(), **path)
    assert "made from the best release, 1.1.0" in again.err


@pytest.mark.parametrize("git", [True, False])
def test_what_both_changed_is_marked_and_not_lost(scratch, market, wheels, mirror, ejected, git):  # noqa: PLR0917 - fixtures
    manifest = ejected / "dteg.yaml"
    manifest.write_text(manifest.read_text().replace("Counts from one on", "Counts as I like"))
    market.publish(wheels(version="1.1.0", description="Counts from two on"))
    path = {} if git else {"PATH": str(Path(find_uv()).parent)}
    done = scratch.run("update", "numbers", "--registry", mirror(), code=1, **path)
    assert f"conflict in {COPY}/dteg.yaml" in done.err
    text = manifest.read_text()
    assert "<<<<<<< yours" in text
    assert "Counts as I like" in text
    assert "Counts from two on" in text
    market.publish(wheels(version="1.2.0"))
    done = scratch.run("update", "numbers", "--registry", mirror(), code=1, **path)
    assert "conflicts of the last update are still open in dteg.yaml" in done.err
    assert manifest.read_text() == text
