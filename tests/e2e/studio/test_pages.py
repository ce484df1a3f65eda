"""The pages as people see them: in Chromium, at three widths, light and dark, with keys only, and without scripts."""

import json
import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from dteg.testing.browser import PHONE, WIDTHS
from dteg.tokens.models import NewToken, Scope
from studio.access import Access, routes_of
from studio.app import create_app
from studio.services import Services
from tests.e2e.axe import violations

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

# Parts of pages, which scripts put where they belong.
PARTS = ("/cron/preview", "/datasets/builder/")
# With DTEG_SHOTS=FOLDER a picture of each page at each width is kept.
SHOTS = os.environ.get("DTEG_SHOTS", "")


def plain_pages(studio):
    """Return the paths of all pages that need no name of a thing."""
    app = create_app(studio.services.settings, Services(studio.project, studio.services.settings))
    return sorted(
        route.path
        for route in routes_of(app)
        if isinstance(route.access, Access) and "GET" in route.methods and "{" not in route.path
        and not route.path.startswith(("/api/v1/", "/healthz", "/readyz", *PARTS))
    )  # fmt: skip


def check_layout(page, path, width):
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [f"{path} at {width}: {over} pixels to scroll sideways"] if over > 0 else []


def check_with_axe(page, path):
    found = violations(page)
    told = [(each["id"], each["help"], [node["html"][:120] for node in each["nodes"][:3]]) for each in found]
    return [f"{path}: {json.dumps(told, indent=1)}"] if told else []


def look(page, paths, scheme):
    wrong = []
    # What differs in the dark are the colours, not the places.
    widths = WIDTHS if scheme == "light" else WIDTHS[-1:]
    for path in paths:
        for width in widths:
            page.set_viewport_size({"width": width, "height": 900})
            answer = page.goto(path)
            wrong += [f"{path}: {answer.status}"] if answer.status >= 500 else []
            wrong += check_layout(page, path, width)
            if SHOTS:
                name = re.sub(r"\W+", "-", path).strip("-") or "home"
                page.screenshot(path=Path(SHOTS) / f"{name}-{width}-{scheme}.png", full_page=True)
            if width != WIDTHS[1]:
                wrong += check_with_axe(page, f"{path} at {width}")
    assert wrong == [], "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_and_everybody_can_read_them(tab, studio, scheme):
    stranger = tab(login=False, color_scheme=scheme)
    look(stranger, ["/login", "/login?code=old"], scheme)
    studio.services.tokens.create(NewToken(name="ci", scopes=[Scope.WRITE, Scope.PUBLISH], expires_days=30))
    studio.services.tokens.create(NewToken(name="shop", scopes=[Scope.PUBLISH], topics=["orders", "returns"]))
    look(tab(color_scheme=scheme), [*plain_pages(studio), "/no-such-page"], scheme)


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_making_using_and_revoking_a_token(tab, scripts):
    owner = tab(java_script_enabled=scripts)
    expect(owner.get_by_role("status")).to_contain_text("You are logged in.")
    owner.get_by_role("link", name="Tokens").click()
    owner.get_by_label("Name").fill("colleague")
    owner.get_by_label("see tables").check()
    owner.get_by_label("Only these topics").fill("orders")
    owner.get_by_role("button", name="Make the token").click()
    expect(owner.get_by_role("alert")).to_contain_text("publish and subscribe only")
    owner.get_by_label("Only these topics").fill("")
    owner.get_by_role("button", name="Make the token").click()
    secret = owner.locator("#made-token").inner_text()
    colleague = tab(login=False, java_script_enabled=scripts)
    colleague.goto("/tokens")
    colleague.get_by_label("Or a token").fill(secret)
    colleague.get_by_role("button", name="Log in").click()
    # Logged in, back on the page that was wanted, and not allowed to see it.
    expect(colleague.get_by_role("heading", level=1)).to_contain_text("Not allowed")
    colleague.goto("/")
    expect(colleague.get_by_text("colleague", exact=True)).to_be_visible()
    owner.get_by_role("button", name="Revoke colleague").click()
    owner.get_by_role("button", name="Revoke the token").click()
    expect(owner.get_by_role("status")).to_contain_text("revoked")
    colleague.goto("/")
    expect(colleague.get_by_role("heading", level=1)).to_contain_text("Log in")


def test_the_colours_stay_as_chosen_and_logging_out_works(tab):
    page = tab(color_scheme="light", java_script_enabled=False)
    page.get_by_role("button", name="Dark").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("status")).to_contain_text("logged out")
    page.goto("/")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Log in")


def test_everything_is_reached_with_keys_and_the_place_is_seen(tab):
    page = tab()
    page.set_viewport_size({"width": PHONE, "height": 900})
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.goto("/tokens")
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
    assert {"Log out", "Home", "Tokens", "Make the token", "API", "Dark"} <= seen


def test_lists_are_sorted_and_a_form_is_sent_once_and_by_who_is_logged_in(tab, studio):
    for name in ("b-10", "a", "b-9"):
        studio.services.tokens.create(NewToken(name=name, scopes=[Scope.READ], expires_days=30))
    page = tab()
    page.clock.install()
    page.goto("/tokens")
    page.get_by_role("button", name="Name", exact=True).click()
    expect(page.locator("tbody td:first-child b")).to_have_text(["a", "b-9", "b-10"])
    page.get_by_text("Make a token").click()
    page.get_by_label("Name", exact=True).fill("mine")
    page.get_by_label("see tables").check()
    page.clock.fast_forward("10:00")
    page.context.clear_cookies()
    page.get_by_role("button", name="Make the token").click()
    expect(page.get_by_role("alert")).to_contain_text("what you wrote is still here")
    other = page.context.new_page()
    other.goto(studio.client.post("/login-links")["url"])
    page.get_by_role("button", name="Make the token").evaluate(
        "button => { button.click(); button.click(); }"
    )
    expect(page.locator("#made-token")).to_be_visible()
    assert [token.name for token in studio.services.tokens.list()].count("mine") == 1
