"""From a file to a table, a scheduled backup, a change that hurts, and back: in the browser, with and without scripts."""

import os
from pathlib import Path

import psycopg
import pytest

from studio.testing import empty_project, running_studio
from tests.e2e.studio.journey import DATABASE, PIPELINE, RESTORED, ROWS, Journey, shop_database
from tests.e2e.studio.tab import Tab

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
# With DTEG_SHOTS=FOLDER the pictures are kept.
SHOTS = os.environ.get("DTEG_SHOTS", "")


def test_a_table_from_its_file_to_its_restore(chromium, postgres_server, tmp_path, monkeypatch):
    with shop_database(postgres_server) as warehouse:
        project = empty_project(tmp_path / "shop")
        (project.pipelines_dir / "city_sales.yaml").write_text(PIPELINE)
        monkeypatch.setenv("DTEG_POSTGRES_URL", warehouse)
        monkeypatch.setenv("DTEG_HOME", str(project.root))
        with running_studio(project, background=True) as studio:
            tab = Tab(chromium, studio, viewport={"width": 1360, "height": 900})
            tab.page.goto(studio.client.post("/login-links")["url"])

            def picture(name):
                if SHOTS:
                    tab.page.screenshot(path=Path(SHOTS) / f"{name}.png")

            Journey(tab.page, warehouse, tmp_path, picture).walk()
            tab.context.close()
        assert tab.problems == []
        assert tab.elsewhere == []
        asked = "SELECT count(*), count(city), sum(amount) FROM orders"
        with psycopg.connect(warehouse.replace(f"/{DATABASE}", f"/{RESTORED}")) as restored:
            total = sum(number % 97 + 0.5 for number in range(1, ROWS + 1))
            count, cities, amount = restored.execute(asked).fetchone()
            assert (count, cities, float(amount)) == (ROWS, ROWS, total)
