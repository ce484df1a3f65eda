"""Takes the pictures of the documentation from the running project: `python docs/screenshots.py [dagster|registry]`.

The pictures of Dagster need what `make demo` loaded, and Chromium (Debian: apt-get install chromium). Starts Dagster's page on
a free port, opens it in headless Chromium, and stops it again. Those of the registry show sample data: a registry of
its own, filled by tests/integration/registry/showcase.py.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

from dteg.core.document_server import document_server
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
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    wanted = sys.argv[1:] or ["dagster", "registry"]
    if "registry" in wanted:
        take_registry(chromium)
    if "dagster" in wanted:
        take_dagster(chromium)


def take_registry(chromium: str) -> None:
    """Fill a registry with sample data and keep pictures of its pages."""
    sys.path.insert(0, str(ROOT))
    from registry.testing import running_registry
    from tests.integration.registry.showcase import Showcase

    with tempfile.TemporaryDirectory() as name, document_server("--standalone") as server:
        folder = Path(name)
        with (
            running_registry(f"mongodb://{server.address}", folder / "registry") as running,
            sync_playwright() as p,
        ):
            Showcase(running, folder)
            browser = p.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1360, "height": 1000}, color_scheme="light")
            for picture, path, height in REGISTRY_PAGES:
                page.set_viewport_size({"width": 1360, "height": height})
                page.goto(f"{running.url}{path}")
                page.evaluate("document.fonts.ready")
                page.screenshot(path=IMAGES / f"{picture}.png")
            browser.close()


def take_dagster(chromium: str) -> None:
    """Start Dagster's page, and keep pictures of the graph and of checks."""
    port = fresh_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "orchestration.dev"],
        cwd=ROOT,
        env={**os.environ, "DTEG_DAGSTER_PORT": str(port)},
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 2300, "height": 2000})
            take(page, f"http://127.0.0.1:{port}")
            browser.close()
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
