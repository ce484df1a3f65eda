"""The pages as people see them: in Chromium, at three widths, light and dark, with keys only, and without scripts."""

import json
import re

import pytest
from playwright.sync_api import expect

from dteg.testing.browser import PHONE, WIDTHS, requests_elsewhere
from registry.testing import PASSWORD, running_registry
from tests.e2e.axe import violations
from tests.integration.registry.showcase import CHAT, KAFKA, NEWEST, Showcase, ShownProver, run_gates

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PAGES = {
    "": (
        "/", "/search?q=kafka&explain=true", "/search?q=zzzzz", f"/c/{KAFKA}", "/c/dteg/postgres-extractor/configuration",
        f"/c/{KAFKA}/versions", f"/c/{KAFKA}/gates/1.1.1", f"/c/{KAFKA}/trust", f"/c/{KAFKA}/reviews", "/login", "/join", "/reset?link=x", "/about",
        "/c/streaming/pulsar-extractor", "/no-such-page",
    ),
    "ann": (
        f"/c/{KAFKA}/versions/{NEWEST}", "/n/streaming", "/account", "/publish", f"/c/{KAFKA}/discussions",
        "/n/streaming/webhooks", "/n/streaming/webhooks/{failing_webhook}", "/n/streaming/licences", "/n/streaming/invoices",
        "/invoices/{invoice}",
    ),
    "sam": ("/account/licences",),
    "lena": (f"/c/{KAFKA}/reviews", f"/report?target=component:{KAFKA}"),
    "mara": ("/admin",),
}  # fmt: skip


@pytest.fixture(scope="module")
def showcase(mongodb_url, tmp_path_factory):
    folder = tmp_path_factory.mktemp("showcase")
    with running_registry(mongodb_url, folder / "registry") as running:
        yield Showcase(running, folder, small=True)


class Tab:
    """A page of a browser that notes what goes wrong in it."""

    def __init__(self, browser, url, **options):
        self.url = url
        self.context = browser.new_context(base_url=url, **options)
        self.elsewhere = requests_elsewhere(self.context)
        self.page = self.context.new_page()
        self.problems = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _note(self, message):
        # That a page which is not there has the status 404 is what is tested.
        if (
            message.type in ("error", "warning")
            and "404 (Not Found)" not in message.text
            and "422" not in message.text
        ):
            self.problems.append(message.text)

    def log_in(self, login):
        self.page.goto("/login")
        self.page.get_by_label("Login", exact=True).fill(login)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.get_by_role("button", name="Log in").click()
        expect(self.page.get_by_role("link", name=login, exact=True)).to_be_visible()
        return self


@pytest.fixture
def tab(chromium, showcase):
    made = []

    def make(login="", **options):
        one = Tab(chromium, showcase.registry.url, **options)
        made.append(one)
        return one.log_in(login) if login else one

    yield make
    for one in made:
        one.context.close()
        assert one.problems == []
        assert one.elsewhere == []


def check_layout(page, path, width):
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert over <= 0, f"{path} at {width}: {over} pixels to scroll sideways"


def check_with_axe(page, path):
    found = violations(page)
    told = [(each["id"], each["help"], [node["html"][:120] for node in each["nodes"][:3]]) for each in found]
    assert told == [], f"{path}: {json.dumps(told, indent=1)}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("login", PAGES)
def test_pages_fit_and_everybody_can_read_them(tab, showcase, login, scheme):
    page = tab(login, color_scheme=scheme).page
    for template in PAGES[login]:
        path = template.format(**vars(showcase))
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            page.goto(path)
            check_layout(page, path, width)
        check_with_axe(page, path)
        page.set_viewport_size({"width": PHONE, "height": 900})
        check_with_axe(page, f"{path} (narrow)")


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_a_stranger_finds_and_reads_a_component(tab, scripts):
    page = tab(java_script_enabled=scripts).page
    page.goto("/")
    page.get_by_label("Search components").fill("kafka")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name=KAFKA).click()
    expect(page.get_by_role("heading", level=1, name="kafka-extractor")).to_be_visible()
    expect(page.locator("aside").get_by_text(f"dteg install {KAFKA}")).to_be_visible()
    # Copying needs a script: without one the button is not offered.
    assert page.locator("aside [data-copy]").first.is_visible() is scripts
    for name, said in (
        ("Configuration", "Make the YAML"), ("Versions", "Stops on tombstones"), ("Proof", "31 tests passed"),
        ("Trust", "What was signed"), ("Reviews", "survived two crashes"), ("Discussions", "Exactly once?"),
    ):  # fmt: skip
        page.get_by_label("Component").get_by_role("link", name=re.compile(f"^{name}")).click()
        expect(page.get_by_text(said).first).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_filters_work_with_and_without_scripts(tab, scripts):
    page = tab(java_script_enabled=scripts).page
    page.goto("/search")
    page.get_by_label("messaging").check()
    if not scripts:
        page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**category=messaging**")
    expect(page.locator(".results .item")).to_have_count(1)
    if scripts:
        expect(page.get_by_role("button", name="Apply")).to_be_hidden()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_colours_are_chosen_and_kept(tab, scripts):
    page = tab(java_script_enabled=scripts, color_scheme="light").page
    page.goto("/about")
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground) if scripts else None
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    if scripts:
        assert page.evaluate(ground) != light
    page.goto("/search")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Auto").click()
    page.goto("/about")
    assert page.locator("html").get_attribute("data-theme") is None


def test_everything_is_reached_with_keys_and_the_place_is_seen(tab):
    page = tab().page
    page.goto(f"/c/{KAFKA}")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    expect(page.get_by_text("Skip to content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("/")
    expect(page.get_by_label("Search components")).to_be_focused()
    seen = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            "(() => { const e = document.activeElement, s = getComputedStyle(e);"
            "return [e.textContent.trim().slice(0, 40), e.tagName, s.outlineStyle, parseFloat(s.outlineWidth)] })()"
        )
        if focused[1] == "BODY":
            break
        seen.add(focused[0])
        assert focused[2] == "solid", focused
        assert focused[3] >= 2, focused
    for name in ("Log in", "Versions 4", "With pip or uv", "Report this component", "Dark"):
        assert name in seen, seen


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_joining_making_a_token_and_a_namespace(tab, scripts):
    page = tab(java_script_enabled=scripts).page
    login = "robin" if scripts else "marlo"
    page.goto("/join")
    page.get_by_label("Login").fill(login)
    page.get_by_label("Email").fill(f"{login}@example.org")
    page.get_by_label("Password").fill("password1234")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("alert")).to_contain_text("among the first that are tried")
    page.get_by_label("Password").fill("a sentence of my own")
    page.get_by_role("button", name="Make the account").click()
    expect(page.get_by_role("status")).to_contain_text("Welcome")
    page.get_by_text("Make a token").first.click()
    page.get_by_label("Name", exact=True).first.fill("laptop")
    page.get_by_label("publish, yank and deprecate").check()
    page.get_by_role("button", name="Make the token").click()
    expect(page.locator("#token-secret")).to_contain_text("dteg_")
    page.get_by_text("Claim a namespace").click()
    page.locator("#claim-name").fill(f"{login}labs")
    page.get_by_role("button", name="Claim", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text(f"{login}labs")
    page.get_by_role("link", name="Webhooks").click()
    page.get_by_label("Address").fill(CHAT)
    page.get_by_label("a release was yanked").uncheck()
    page.get_by_role("button", name="Add the webhook").click()
    expect(page.locator("#hook-secret")).to_contain_text("whsec_")
    page.get_by_role("button", name="Send a test").click()
    expect(page.get_by_text("A test is on its way.")).to_be_visible()
    # Without a click: the page asks again by itself, with a script each 3 s, without one each 5 s.
    expect(page.locator("#deliveries")).to_contain_text("Answered 204 after 38 ms", timeout=60_000)


def test_publish_watch_the_gates_rate_and_yank(tab, showcase, tmp_path):
    """The journey of a release in the browser, from the upload to the yank."""
    version = "1.4.0"
    wheel = showcase.kafka(version)
    signature = tmp_path / "signature.json"
    signature.write_text(json.dumps(showcase.ann.envelope(wheel)))
    ann = tab("ann").page
    ann.get_by_role("link", name="Publish").click()
    ann.get_by_label("Wheel").set_input_files(wheel)
    ann.get_by_label("Signature").set_input_files(signature)
    ann.get_by_role("button", name="Upload").click()
    expect(ann.get_by_text("The release waits for its turn.")).to_be_visible()
    run_gates(showcase.registry, ShownProver())
    # Without a click: the page asks again by itself.
    expect(ann.get_by_text("31 tests passed")).to_be_visible(timeout=60_000)
    expect(ann.locator("#gates").get_by_text("Listed")).to_be_visible()
    showcase.registry.make_account("kim")
    showcase.install("kim", showcase.release(f"{KAFKA}@{version}"))
    kim = tab("kim").page
    kim.goto(f"/c/{KAFKA}/reviews")
    kim.get_by_label("4 ★★★★").check()
    kim.get_by_label("In your words").fill("Quick, and it **stays** quick.")
    kim.get_by_role("button", name="Publish review").click()
    expect(kim.get_by_text("Your review was saved.")).to_be_visible()
    expect(kim.locator(".post strong", has_text="stays")).to_be_visible()
    ann.goto(f"/c/{KAFKA}/versions/{version}")
    ann.get_by_text("Yank it").click()
    ann.get_by_label("Why").fill("Loses the last record of a topic.")
    ann.get_by_role("button", name=f"Yank {version}").click()
    expect(ann.get_by_text("The release was yanked")).to_be_visible()
    kim.goto(f"/c/{KAFKA}/versions/{version}")
    expect(kim.get_by_text("Loses the last record of a topic.")).to_be_visible()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_configuration_form_writes_yaml(tab, scripts):
    page = tab(java_script_enabled=scripts).page
    page.goto("/c/dteg/postgres-extractor/configuration")
    page.get_by_label("table", exact=True).fill("public.orders")
    page.get_by_role("button", name="Make the YAML").click()
    expect(page.locator("#made")).to_contain_text("table: public.orders")


def test_asking_reporting_and_moderating(tab):
    tom = tab("tom").page
    tom.goto(f"/c/{KAFKA}/discussions")
    tom.get_by_label("Title").fill("Where are the offsets?")
    tom.get_by_label("Text").fill("I looked in `raw`.")
    tom.get_by_role("button", name="Post").click()
    expect(tom.get_by_role("heading", level=2, name="Where are the offsets?")).to_be_visible()
    thread = tom.url.partition("?")[0]
    ines = tab("ines").page
    ines.goto(thread)
    ines.get_by_role("link", name="Report", exact=True).first.click()
    ines.get_by_label("It is spam").check()
    ines.get_by_label("In your words").fill("Asked twice.")
    ines.get_by_role("button", name="Send the report").click()
    expect(ines.get_by_text("Thank you.")).to_be_visible()
    mara = tab("mara").page
    mara.goto("/admin")
    report = mara.locator(".post", has_text="Asked twice.")
    report.get_by_label("Why").fill("It is a fair question.")
    report.get_by_role("button", name="Dismiss").click()
    expect(mara.get_by_text("The report was resolved.")).to_be_visible()
