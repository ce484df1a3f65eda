"""The live view of a topic in a browser: messages appear without a reload, as text, and can be paused."""

import pytest
from playwright.sync_api import expect

from dteg.topics import NewMessage

pytestmark = [pytest.mark.e2e, pytest.mark.integration]


def test_messages_appear_live(studio, tab):
    topics = studio.services.topics
    topics.create("orders")
    topics.publish("orders", "old")
    page = tab()
    page.goto("/topics/orders")
    rows = page.locator("[data-live-rows] tr")
    state = page.locator("[data-live-state]")
    expect(rows).to_have_count(1)
    expect(state).to_have_text("Live: newest first.", timeout=15_000)
    expect(page.get_by_role("button", name="Reload")).to_be_hidden()
    topics.publish("orders", "<img src=x onerror=alert(1)>", key="k", headers={"From": "test"})
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("<img src=x onerror=alert(1)>")
    expect(rows.first).to_contain_text("From=test")
    pause = page.get_by_role("button", name="Pause")
    pause.click()
    topics.publish_many("orders", [NewMessage.make(f"later {number}") for number in range(3)])
    page.wait_for_timeout(800)
    expect(rows).to_have_count(2)
    page.get_by_role("button", name="Go on").click()
    expect(rows).to_have_count(5)
    expect(rows.first).to_contain_text("later 2")


def test_a_topic_is_made_and_used_without_scripts(studio, tab):
    page = tab(java_script_enabled=False)
    page.goto("/topics")
    page.get_by_label("Name").fill("refunds")
    page.get_by_role("button", name="Make the topic").click()
    expect(page.get_by_role("status").first).to_have_text("The topic is there.")
    page.get_by_text("Publish a message").click()
    page.get_by_label("Payload").fill('{"id": 1}')
    page.get_by_role("button", name="Publish", exact=True).click()
    expect(page.locator("[data-live-rows] tr")).to_have_count(1)
    expect(page.get_by_role("button", name="Reload")).to_be_visible()
