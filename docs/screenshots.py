"""Takes the pictures of the documentation from the running project: `python docs/screenshots.py`.

Needs what `make demo` loaded, and Chromium (Debian: apt-get install chromium). Starts Dagster's page on
a free port, opens it in headless Chromium, and stops it again.
"""

import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import FloatRect, Page, sync_playwright

from dteg.testing.servers import fresh_port

ROOT = Path(__file__).parents[1]
IMAGES = Path(__file__).parent / "images"
START_TIMEOUT_S = 120
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
