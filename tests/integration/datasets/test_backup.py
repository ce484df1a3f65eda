"""A backup of the hub: it can be restored, and says of datasets that their rows have to be made anew."""

from urllib.parse import urlsplit

import pytest

from dteg.backups.models import NewBackup, RestoreOrder
from dteg.backups.service import Backups
from dteg.core.control import close_kept
from dteg.datasets.service import Datasets

pytestmark = pytest.mark.integration


def test_a_hub_with_datasets_is_backed_up_and_restored(sales, shop, postgres_url, run, monkeypatch):
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(shop.root / "config"))
    run("CREATE VIEW public.mine AS SELECT country FROM ds.sales")
    backups = Backups.of(shop)
    made = backups.create(NewBackup(database=urlsplit(postgres_url).path[1:]))
    assert backups.verify(made.id, restore=True).rows > 0
    name = f"restored_{urlsplit(postgres_url).path[1:]}"[:60]
    try:
        backups.restore(RestoreOrder(id=made.id, into=name))
        monkeypatch.setenv("DTEG_POSTGRES_URL", urlsplit(postgres_url)._replace(path=f"/{name}").geturl())
        restored = Datasets.of(shop)
        found = restored.get("sales")
        assert found.live is None
        assert "not part of the backup" in found.problem
        assert restored.refresh("sales").rows == 300
        assert restored.get("sales").problem == ""
    finally:
        close_kept()
        run(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
