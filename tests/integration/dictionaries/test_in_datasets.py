"""A dictionary looked up in a dataset: its values arrive, and it is not removed while it is used."""

import pytest

from dteg.core.control import session
from dteg.core.errors import ConflictError
from dteg.datasets.service import Datasets
from dteg.datasets.spec import spec_of
from dteg.dictionaries.models import DictionaryColumn, NewDictionary
from dteg.dictionaries.service import Dictionaries
from dteg.sources.models import NewSource
from dteg.sources.service import Sources

pytestmark = pytest.mark.integration

SPEC = {
    "dataset": "plan_by_region",
    "version": 1,
    "sources": {"p": {"source": "plan", "table": "targets"}},
    "columns": [
        {"name": "region", "from": "p.region"},
        {"name": "target", "from": "p.target"},
        {
            "name": "title",
            "lookup": {"dictionary": "regions", "key": "p.region", "value": "title", "default": "unknown"},
        },
    ],
}


@pytest.fixture
def project(studio_project):
    (studio_project.root / "targets.csv").write_text("region,target\nnorth,1\nsouth,2\n")
    Sources.of(studio_project).add(
        NewSource(slug="plan", kind="file", options={"path": "targets.csv", "max_stage_age": "1s"})
    )
    columns = [DictionaryColumn(name="code"), DictionaryColumn(name="title")]
    dictionaries = Dictionaries.of(studio_project)
    dictionaries.create(NewDictionary(slug="regions", key="code", columns=columns), "ann")
    dictionaries.put("regions", [{"code": "north", "title": "The North"}], "ann")
    return studio_project


def test_values_are_looked_up_and_follow_file_and_dictionary(project):
    datasets, dictionaries = Datasets.of(project), Dictionaries.of(project)
    datasets.save(spec_of(SPEC), who="ann")
    datasets.refresh("plan_by_region")
    assert sorted(datasets.rows("plan_by_region").rows) == [
        ["north", 1, "The North"],
        ["south", 2, "unknown"],
    ]
    dictionaries.put("regions", [{"code": "south", "title": "The South"}], "ann")
    (project.root / "targets.csv").write_text("region,target\nsouth,3\n")
    with session(project) as connection:
        connection.execute("UPDATE _dteg.source_tables SET staged_at = now() - interval '1 hour'")
    datasets.refresh("plan_by_region")
    assert datasets.rows("plan_by_region").rows == [["south", 3, "The South"]]
    with pytest.raises(ConflictError, match="used by the dataset plan_by_region"):
        dictionaries.remove("regions")
    datasets.remove("plan_by_region")
    dictionaries.remove("regions")
