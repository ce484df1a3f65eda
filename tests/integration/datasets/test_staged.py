"""A dataset over a copied source: the copy is made anew before a build when it is too old, and its age is told."""

import time
from datetime import timedelta

import pytest

from dteg.core.errors import DtegError
from dteg.datasets.spec import parse_spec
from dteg.sources.models import Kind, NewSource
from dteg.sources.service import Sources

pytestmark = pytest.mark.integration
SPEC = """
dataset: plan
sources:
  t: {source: targets, table: targets}
  c: {source: warehouse, schema: raw, table: customers}
joins: [{left: c, right: t, type: inner, on: [[c.country, t.country]]}]
group_by: [{name: country, from: t.country}]
measures: [{name: target, fn: max, of: t.target}, {name: customers, fn: count}]
"""


def test_a_file_is_copied_again_when_its_copy_is_old(datasets, shop, run):
    folder = shop.root / "data"
    folder.mkdir()
    (folder / "targets.csv").write_text("country,target\nKZ,10\nUZ,20\n")
    Sources.of(shop).add(
        NewSource(slug="targets", kind=Kind.FILE, options={"path": "data/targets.csv", "max_stage_age": "1s"})
    )
    datasets.save(parse_spec(SPEC))
    made = datasets.refresh("plan")
    assert run("SELECT country, target, customers FROM ds.plan ORDER BY 1") == [
        ("KZ", 10, 10),
        ("UZ", 20, 10),
    ]
    assert made.data_as_of == Sources.of(shop).table("targets", "targets").staged_at
    assert made.data_as_of < made.finished_at
    (folder / "targets.csv").write_text("country,target\nKZ,11\n")
    time.sleep(1.1)
    again = datasets.refresh("plan")
    assert run("SELECT country, target FROM ds.plan") == [("KZ", 11)]
    assert again.data_as_of - made.data_as_of > timedelta(seconds=1)
    # A copy that cannot be made is a refresh that failed; the rows before stay.
    (folder / "targets.csv").unlink()
    time.sleep(1.1)
    with pytest.raises(DtegError, match="targets"):
        datasets.refresh("plan")
    assert run("SELECT country, target FROM ds.plan") == [("KZ", 11)]
    assert datasets.get("plan").last.status == "failed"
