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

from playwright.sync_api import Page, sync_playwright

from dteg.testing.servers import fresh_port

ROOT = Path(__file__).parents[1]
IMAGES = Path(__file__).parent / "images"
START_TIMEOUT_S = 120
# Groups of assets by code location, as the page names them: all are shown opened.
GROUPS = {"dteg": ["reference", "flights", "departures"], "dteg_dbt": ["staging", "intermediate", "marts"]}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


def main() -> None:
    """Take all pictures."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    IMAGES.mkdir(exist_ok=True)
    port = fresh_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "orchestration.dev"], cwd=ROOT, env={**os.environ, "DTEG_DAGSTER_PORT": str(port)}
    )
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info")
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1760, "height": 1100}, device_scale_factor=1)
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
    page.request.post(f"{base}/graphql", data={"query": "mutation { setNuxSeen }"})  # no newsletter over the picture
    expanded = ",".join(f"{location}:__repository__:{group}" for location, names in GROUPS.items() for group in names)
    page.goto(f"{base}/asset-groups?expanded={expanded}")
    page.get_by_text("carrier_punctuality_by_month").first.wait_for(timeout=60_000)
    page.wait_for_timeout(5000)
    page.screenshot(path=IMAGES / "asset-graph.png")
    page.goto(f"{base}/assets/raw/flights?view=checks")
    page.get_by_text("accepted_values_origin").first.wait_for(timeout=60_000)
    page.wait_for_timeout(3000)
    page.screenshot(path=IMAGES / "asset-checks.png")


if __name__ == "__main__":
    main()
