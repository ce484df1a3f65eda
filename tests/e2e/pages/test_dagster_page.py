"""What a person sees at `make dev`: the graph and the checks of real runs, in headless Chromium."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dteg.testing.browser import requests_elsewhere
from dteg.testing.servers import fresh_port

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[3]
PIPELINE = """
pipeline:
  name: shop
  quality: {validation_rules: [{type: null_check, columns: [id]}]}
  steps:
    - extract: {type: files, config: {path: orders.csv}}
    - load: {type: postgres, config: {table: raw.orders}, write: merge, primary_key: [id]}
"""


@pytest.fixture
def page_url(tmp_path, postgres_url):
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "shop.yaml").write_text(PIPELINE)
    (tmp_path / "pipelines" / "broken.yaml").write_text("pipeline: {name: broken, schedul: x}\n")
    (tmp_path / "orders.csv").write_text("id,amount\n1,10\n2,20\n")
    port = fresh_port()
    env = {
        **os.environ, "DTEG_HOME": str(tmp_path), "DTEG_POSTGRES_URL": postgres_url, "DTEG_DAGSTER_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    env.pop("DAGSTER_HOME", None)
    log = tmp_path / "dev.log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "orchestration.dev"], env=env, stdout=out, stderr=out
        )
    try:
        wait_for(f"http://127.0.0.1:{port}/server_info", server, log)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(timeout=60)


def wait_for(url, server, log):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        assert server.poll() is None, log.read_text()
        try:
            urllib.request.urlopen(url, timeout=2).close()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"no page after 120 s: {log.read_text()[-2000:]}")


@pytest.fixture
def page(chromium):
    context = chromium.new_context(viewport={"width": 1400, "height": 900})
    elsewhere = requests_elsewhere(context)
    yield context.new_page()
    context.close()
    assert elsewhere == []


def test_a_person_sees_the_table_its_check_and_the_broken_file(page, page_url):
    page.request.post(f"{page_url}/graphql", data={"query": "mutation { setNuxSeen }"})
    page.goto(f"{page_url}/asset-groups?expanded=global@global:shop,global@global:configuration")
    expect(page.get_by_text("orders", exact=True).first).to_be_visible(timeout=60_000)
    expect(page.get_by_text("broken", exact=True).first).to_be_visible(timeout=60_000)
    for width in (1400, 1000, 700):
        page.set_viewport_size({"width": width, "height": 900})
        page.goto(f"{page_url}/assets/raw/orders?view=checks")
        expect(page.get_by_text("null_check_id").first).to_be_visible(timeout=60_000)
    page.goto(f"{page_url}/assets/dteg_config/broken")
    expect(page.get_by_text('did you mean "schedule"?').first).to_be_visible(timeout=60_000)
