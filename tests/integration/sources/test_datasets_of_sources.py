"""A dataset over a source: told of when the source changes, and in the way when it is to be removed."""

import psycopg
import pytest

from dteg.core.errors import ConflictError
from dteg.datasets.service import Datasets
from dteg.datasets.spec import spec_of
from dteg.sources.models import NewSource

pytestmark = pytest.mark.integration


def test_a_dataset_is_named_when_its_source_changes_or_is_removed(sources, crm):
    sources.add(NewSource(slug="crm", kind="postgres", url=crm))
    datasets = Datasets.of(sources.project)
    spec = {
        "dataset": "buyers",
        "version": 1,
        "sources": {"c": {"source": "crm", "schema": "public", "table": "customers"}},
        "columns": [{"name": "name", "from": "c.name"}, {"name": "mood", "from": "c.mood"}],
    }
    datasets.save(spec_of(spec), who="test")
    with pytest.raises(ConflictError, match="buyers"):
        sources.remove("crm")
    with psycopg.connect(crm, autocommit=True) as there:
        there.execute("ALTER TABLE customers ADD extra int")
    assert [change.broken for change in sources.refresh("crm").drift] == [[]]
    assert str(datasets.get("buyers").state) != "broken"
    with psycopg.connect(crm, autocommit=True) as there:
        there.execute("ALTER TABLE customers DROP COLUMN mood")
    assert [change.broken for change in sources.refresh("crm").drift] == [["buyers"]]
    assert str(datasets.get("buyers").state) == "broken"
    datasets.remove("buyers")
    sources.remove("crm")
