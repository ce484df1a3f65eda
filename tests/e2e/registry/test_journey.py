"""The whole way of a component, by its real programs: made, proved, published, found, installed, used, rated, renewed,
taken back; at the command line and in the browser. And four that are refused, each with its reason.
"""

import json
import re

import httpx
import pytest
from playwright.sync_api import expect

from registry.trial import RegistryProcess
from tests.e2e.registry.market import GATES, NAMESPACE, Maker, User, browser_page, require_programs

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(900)]
TIDY = f"{NAMESPACE}/tidy-processor"
PLAIN = f"{NAMESPACE}/plain-processor"
PASSWORD = "a long test sentence"
TIDIED = '"id","name"\n1,"Ada"\n2,"Bob"\n'
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    require_programs()
    with RegistryProcess(tmp_path_factory.mktemp("market")) as running:
        yield running
        assert "Traceback" not in running.printed


@pytest.fixture(scope="module")
def maker(market, tmp_path_factory):
    return Maker(tmp_path_factory.mktemp("maker"), market.url).join(market)


@pytest.fixture(scope="module")
def plain(maker):
    """A component that is listed: its folder."""
    folder = maker.create("plain")
    assert f"{PLAIN}@0.1.0 is listed" in maker.run("publish", "plain").out
    return folder


@pytest.fixture
def user(market, tmp_path):
    return User(tmp_path / "user", market.url, environment="whole")


@pytest.fixture
def page(chromium, market):
    with browser_page(chromium, market.url) as page:
        yield page


def test_the_journey_of_a_component(market, maker, user, page):
    # create, test, publish, gates, listed
    folder = maker.create("tidy")
    assert sorted(path.name for path in folder.iterdir()) == [
        "README.md",
        "dteg.yaml",
        "test_tidy.py",
        "tidy.py",
    ]
    assert "coverage 100 %" in maker.run("test", "tidy").out
    said = maker.run("publish", "tidy").out
    for gate in GATES:
        assert re.search(rf"^passed +{gate} ", said, re.MULTILINE), said
    assert re.search(rf"^{TIDY}@0\.1\.0 is listed, score \d+ of 100$", said, re.MULTILINE)

    # search, at the command line and in the browser
    found = searched(user, "tidy")
    assert [each["id"] for each in found] == [TIDY]
    page.goto("/")
    page.get_by_label("Search components").last.fill("tidi")  # a small mistake is forgiven
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=re.compile("tidy-processor")).first.click()
    expect(page.get_by_role("heading", name="tidy-processor", level=1)).to_be_visible()
    expect(page.get_by_text(f"dteg install {TIDY}").filter(visible=True).first).to_be_visible()
    expect(page.get_by_role("list", name="Gates").filter(visible=True).locator("li.passed")).to_have_count(
        len(GATES)
    )
    page.get_by_role("link", name="Proof", exact=True).click()
    for gate in GATES:
        box = page.locator(f"section[aria-labelledby=gate-{gate}]")
        expect(box.get_by_text("✓ passed")).to_be_visible()

    # install and run in a pipeline; who reviews has an account, made in the browser
    join_in_browser(page, "bob")
    page.goto(f"/c/{TIDY}/reviews")
    expect(page.get_by_text("Install it first, logged in as bob")).to_be_visible()
    user.log_in("bob", PASSWORD)
    user.pipeline(f"dteg://{TIDY}")
    assert f"install it with: dteg install marketplace://{TIDY}" in user.run("run", "people", code=2).err
    before = user.state()
    assert "nothing was changed" in user.run("install", "--dry-run", "marketplace://tidy").out
    assert user.state() == before
    user.run("install", "marketplace://tidy")
    lock = (user.project / "dteg.lock").read_text()
    release = httpx.get(f"{market.url}/api/v1/components/{TIDY}/releases/0.1.0", timeout=60).json()
    assert (release["sha256"] in lock, release["key_id"] in lock, release["trust"]) == (
        True,
        True,
        "attested",
    )
    assert user.rows() == TIDIED

    # rate at the command line, review in the browser
    assert "4 of 5 stars" in user.run("rate", "tidy", "4").out
    assert rating(market) == (1, 4.0)
    page.reload()
    expect(page.locator("#stars-4")).to_be_checked()
    page.locator("#stars-5").check()
    page.get_by_label("In your words").fill("Trims **well**.")
    page.get_by_role("button", name="Save", exact=True).click()
    review = page.locator("li.post")
    expect(review).to_contain_text("bob")
    expect(review.locator("strong", has_text="well")).to_be_visible()
    assert rating(market) == (1, 5.0)
    maker.run("rate", "tidy", "1", code=1)  # nobody rates what is their own
    assert rating(market) == (1, 5.0)

    # a new version, with a note about what changed
    code = (folder / "tidy.py").read_text()
    (folder / "tidy.py").write_text(code.replace("Make NULL of what", "Whether to make NULL of what"))
    (folder / "CHANGELOG.md").write_text(
        "# Changelog\n\n## 0.2.0\n\n- Says more clearly what empty_as_null does.\n"
    )
    maker.change(folder, version="0.2.0")
    assert f"{TIDY}@0.2.0 is listed" in maker.run("publish", "tidy").out

    # update: first looked at, then done
    before = user.state()
    said = user.run("update", "--dry-run").out
    assert f"{TIDY} 0.1.0 -> 0.2.0" in said
    assert "Says more clearly what empty_as_null does." in said
    assert user.state() == before
    user.run("update")
    assert user.installed() == {TIDY: "0.2.0"}
    assert user.rows() == TIDIED

    # yank: who has it keeps it, nobody else gets it
    assert "yanked" in maker.run("yank", "tidy@0.2.0", "--reason", "says too much").out
    page.goto(f"/c/{TIDY}/versions")
    row = page.locator("li.version", has_text="0.2.0")
    expect(row.get_by_text("Yanked")).to_be_visible()
    expect(row.get_by_text("says too much")).to_be_visible()
    expect(page.locator("li.version", has_text="0.1.0").get_by_text("newest")).to_be_visible()
    assert "0.2.0 was yanked: says too much" in user.run("install").text
    assert user.installed() == {TIDY: "0.2.0"}
    user.run("uninstall", "tidy", "--force")
    assert "0.2.0: yanked: says too much" in user.run("install", "tidy@0.2.0", code=1).err
    user.run("install", "tidy")
    assert user.installed() == {TIDY: "0.1.0"}


def test_a_failing_gate_keeps_a_component_out(market, maker, user):
    folder = maker.create("shady")
    code = folder / "shady.py"
    text = code.read_text().replace(
        "        schema = self.output_schema(batch.schema)\n",
        "        schema = self.output_schema(batch.schema)\n        subprocess.run('true', shell=True)\n",
    )
    code.write_text(text.replace("import pyarrow as pa\n", "import subprocess\n\nimport pyarrow as pa\n", 1))
    line = code.read_text().splitlines().index("        subprocess.run('true', shell=True)") + 1
    done = maker.run("publish", "shady", code=1)
    assert re.search(r"^failed +security ", done.out, re.MULTILINE), done.text
    assert f"shady.py:{line}: " in done.out
    assert f"{NAMESPACE}/shady-processor@0.1.0 is rejected" in done.out
    assert "give it a new version" in done.out
    before = user.state()
    refused = user.run("install", f"{NAMESPACE}/shady-processor@0.1.0", code=1).err
    assert "rejected" in refused or f"there is no component {NAMESPACE}/shady-processor" in refused
    assert user.state() == before
    assert all(each["id"] != f"{NAMESPACE}/shady-processor" for each in searched(user, "shady", found=False))


def test_a_tampered_file_is_refused(market, user, plain):
    sha256 = httpx.get(f"{market.url}/api/v1/components/{PLAIN}/releases/0.1.0", timeout=60).json()["sha256"]
    (blob,) = [path for path in market.data.rglob("*") if path.is_file() and path.name == sha256]
    good, mode = blob.read_bytes(), blob.stat().st_mode
    before = user.state()
    blob.chmod(0o600)
    try:
        blob.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        refused = user.run("install", f"{PLAIN}@0.1.0", code=1)
    finally:
        blob.write_bytes(good)
        blob.chmod(mode)
    assert "tampered" in refused.err or "damaged" in refused.err
    assert user.state() == before


def test_a_weaker_trust_is_refused_until_it_is_accepted(maker, user, plain):
    user.run("install", f"{PLAIN}@0.1.0")
    maker.change(plain, version="0.2.0", capabilities={"network": True})
    maker.run("publish", "plain")
    before = user.state()
    refused = user.run("install", f"{PLAIN}@0.2.0", code=1).err
    assert f"{PLAIN}@0.2.0 is trusted less than before" in refused
    assert "wants the capability network, which 0.1.0 did not" in refused
    assert "--accept-downgrade" in refused
    assert user.state() == before
    user.run("install", f"{PLAIN}@0.2.0", "--accept-downgrade")
    assert user.installed() == {PLAIN: "0.2.0"}


def test_an_incompatible_version_is_refused(maker, user, plain):
    user.run("install", f"{PLAIN}@0.1.0")
    before = user.state()
    asked = user.run("install", f"{PLAIN}@^7", code=1).err
    assert f"no release of {PLAIN}" in asked
    assert user.state() == before
    # One that was made for another dteg does not even get past the gates.
    maker.change(plain, version="7.0.0", framework_versions=">=9")
    said = maker.run("publish", "plain", code=1).out
    assert "framework_versions >=9 leaves out this dteg" in said
    assert user.run("install", f"{PLAIN}@7.0.0", code=1).err.count(PLAIN) >= 1
    assert user.state() == before


def searched(user, words, *, found=True):
    """Search until something is found; the search follows the database by about two seconds."""
    items = []
    for _ in range(60):
        items = json.loads(user.run("search", words, "--json").out)["items"]
        if items or not found:
            break
    return items


def rating(market):
    items = httpx.get(f"{market.url}/api/v1/components/{TIDY}/reviews", timeout=60).json()["items"]
    return len(items), sum(each["stars"] for each in items) / max(1, len(items))


def join_in_browser(page, login):
    page.goto("/join")
    page.get_by_label("Login").fill(login)
    page.get_by_label("Email").fill(f"{login}@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("link", name=login, exact=True)).to_be_visible()
