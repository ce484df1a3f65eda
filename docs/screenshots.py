"""Takes the pictures of the documentation from the running project: `python docs/screenshots.py [dagster|registry|studio|datasets]`.

The pictures of Dagster need what `make demo` loaded, and Chromium (Debian: apt-get install chromium). Starts Dagster's page on
a free port, opens it in headless Chromium, and stops it again. Those of the registry show sample data: a registry of
its own, filled by tests/integration/registry/showcase.py. Those of the studio are taken on the way of
tests/e2e/studio/journey.py, those of datasets on that of dataset_journey.py beside it, which needs MariaDB.
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, FloatRect, Page

from dteg.core.document_server import document_server
from dteg.core.errors import EnvironmentProblemError
from dteg.testing.browser import headless_chromium
from dteg.testing.servers import fresh_port

ROOT = Path(__file__).parents[1]
IMAGES = Path(__file__).parent / "images"
START_TIMEOUT_S = 120
# Picture, page and height in pixels of the registry's pictures.
REGISTRY_PAGES = (
    ("registry-home", "/", 1000),
    ("registry-component", "/c/streaming/kafka-extractor", 1000),
    ("registry-gates", "/c/streaming/kafka-extractor/gates/1.2.0", 1100),
    ("registry-configuration", "/c/dteg/postgres-extractor/configuration", 1000),
)
HEADER_PX = 112  # of the page, above the graph
# Groups of assets, all of them shown opened.
GROUPS = ("reference", "flights", "departures", "staging", "intermediate", "marts", "exposures")


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["dagster", "registry", "studio", "datasets"]
    try:
        with headless_chromium() as browser:
            if "registry" in wanted:
                take_registry(browser)
            if "studio" in wanted:
                take_studio(browser)
            if "datasets" in wanted:
                take_datasets(browser)
            if "dagster" in wanted:
                take_dagster(browser)
    except EnvironmentProblemError as error:
        sys.exit(str(error))


def take_registry(browser: Browser) -> None:
    """Fill a registry with sample data and keep pictures of its pages."""
    sys.path.insert(0, str(ROOT))
    from registry.testing import running_registry
    from tests.integration.registry.showcase import Showcase

    with tempfile.TemporaryDirectory() as name, document_server("--standalone") as server:
        folder = Path(name)
        with running_registry(f"mongodb://{server.address}", folder / "registry") as running:
            Showcase(running, folder)
            page = browser.new_page(viewport={"width": 1360, "height": 1000}, color_scheme="light")
            for picture, path, height in REGISTRY_PAGES:
                page.set_viewport_size({"width": 1360, "height": height})
                page.goto(f"{running.url}{path}")
                page.evaluate("document.fonts.ready")
                page.screenshot(path=IMAGES / f"{picture}.png")
            page.close()


def take_studio(browser: Browser) -> None:
    """Take a table through the studio, from its file to its restore, and keep pictures of the way."""
    sys.path.insert(0, str(ROOT))
    from dteg.testing.servers import embedded_postgres
    from studio.testing import empty_project, running_studio
    from tests.e2e.studio.journey import PIPELINE, Journey, shop_database

    with (
        tempfile.TemporaryDirectory() as name,
        embedded_postgres() as server,
        shop_database(server) as warehouse,
    ):
        project = empty_project(Path(name) / "shop")
        (project.pipelines_dir / "city_sales.yaml").write_text(PIPELINE)
        os.environ.update(DTEG_POSTGRES_URL=warehouse, DTEG_HOME=str(project.root))
        with running_studio(project, background=True) as running:
            page = browser.new_page(viewport={"width": 1360, "height": 900}, color_scheme="light")
            page.goto(running.client.post("/login-links")["url"])
            Journey(page, warehouse, Path(name), lambda name: keep(page, name)).walk()
            page.close()


def take_datasets(browser: Browser) -> None:
    """Join tables of two databases in the studio, and keep pictures of the way to a forecast."""
    sys.path.insert(0, str(ROOT))
    from dteg.testing.mariadb import mariadb_database, mariadb_server
    from dteg.testing.postgres15 import tcp_postgres
    from dteg.testing.servers import embedded_postgres
    from studio.testing import empty_project, running_studio
    from tests.e2e.studio.builder_page import CUSTOMERS, databases
    from tests.e2e.studio.dataset_journey import DatasetJourney, fill_shop

    with (
        tempfile.TemporaryDirectory() as name,
        embedded_postgres() as warehouse,
        tcp_postgres() as remote,
        databases(remote.url, crm=CUSTOMERS) as urls,
        mariadb_server() as mariadb,
        mariadb_database(mariadb) as shop,
    ):
        fill_shop(shop)
        project = empty_project(Path(name) / "project")
        os.environ.update(DTEG_POSTGRES_URL=warehouse, DTEG_HOME=str(project.root))
        with running_studio(project, background=True) as running:
            page = browser.new_page(color_scheme="light", base_url=running.url)
            page.set_viewport_size({"width": 1360, "height": 900})
            page.goto(running.client.post("/login-links")["url"])
            DatasetJourney(page, running, urls["crm"], shop, lambda name: keep(page, name)).walk()
            page.close()


def keep(page: Page, name: str) -> None:
    """Keep a picture of a page as it is now."""
    page.evaluate("document.fonts.ready")
    page.screenshot(path=IMAGES / f"{name}.png")


def take_dagster(browser: Browser) -> None:
    """Start Dagster's page, and keep pictures of the graph and of checks."""
    port = fresh_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "orchestration.dev"],
        cwd=ROOT,
        env={**os.environ, "DTEG_DAGSTER_PORT": str(port)},
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info")
        page = browser.new_page(viewport={"width": 2300, "height": 2000})
        take(page, f"http://127.0.0.1:{port}")
        page.close()
    finally:
        server.terminate()
        server.wait(timeout=60)


def wait_for(url: str) -> None:
    """Wait until a page answers."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            urllib.request.urlopen(url, timeout=2)  # noqa: S310 - loopback
        except OSError:
            time.sleep(0.5)
        else:
            return
    sys.exit(f"{url} did not answer within {START_TIMEOUT_S} s")


def take(page: Page, base: str) -> None:
    """Open the graph and the checks of one table, and keep pictures of both."""
    page.request.post(
        f"{base}/graphql", data={"query": "mutation { setNuxSeen }"}
    )  # no newsletter over the picture
    expanded = ",".join(f"global@global:{group}" for group in GROUPS)
    page.goto(f"{base}/asset-groups?expanded={expanded}")
    page.get_by_text("plane_utilisation").first.wait_for(timeout=60_000)
    page.wait_for_timeout(5000)
    page.screenshot(path=IMAGES / "asset-graph.png", clip=graph_area(page))
    page.set_viewport_size({"width": 1600, "height": 1000})
    page.goto(f"{base}/assets/raw/flights?view=checks")
    page.get_by_text("accepted_values_origin").first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    page.screenshot(path=IMAGES / "asset-checks.png")


def graph_area(page: Page) -> FloatRect:
    """Return the part of the page that the nodes of the graph take, with a margin."""
    boxes = [box for node in page.locator("foreignObject").all() if (box := node.bounding_box())]
    left = min(box["x"] for box in boxes) - 20
    top = max(HEADER_PX, min(box["y"] for box in boxes) - 20)
    right = max(box["x"] + box["width"] for box in boxes) + 20
    bottom = max(box["y"] + box["height"] for box in boxes) + 20
    return FloatRect(x=left, y=top, width=right - left, height=bottom - top)


if __name__ == "__main__":
    main()
