from xml.etree import ElementTree as ET

import httpx
import pytest

from tests.integration.registry.community import COMPONENT, PATH, Community
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration
ATOM = {"a": "http://www.w3.org/2005/Atom"}


@pytest.fixture
def community(registry, tmp_path):
    return Community(registry, Publisher(registry, tmp_path / "wheels"))


def entries(registry, path):
    answer = registry.request("GET", path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/atom+xml")
    return [
        each.findtext("a:title", "", ATOM) for each in ET.fromstring(answer.content).findall("a:entry", ATOM)
    ]


def test_new_releases_are_in_the_feeds_newest_first(community, registry):
    community.publisher.list("1.1.0")
    expected = [f"{COMPONENT} 1.1.0", f"{COMPONENT} 1.0.0"]
    assert entries(registry, "/feed.atom") == expected
    assert entries(registry, "/feed.atom?namespace=streaming") == expected
    assert entries(registry, "/feed.atom?namespace=nobody") == []
    assert entries(registry, f"{PATH}/feed.atom") == expected
    assert registry.request("GET", "/components/streaming/none-loader/feed.atom").status_code == 404
    assert registry.request("GET", "/feed.atom?namespace=%3Cx").status_code == 422


def test_a_quarantined_release_is_in_no_feed(community, registry):
    community.token("boss", admin=True)
    community.publisher.list("1.1.0")
    community.ask("boss", "POST", f"{PATH}/releases/1.1.0/quarantine", json={"reason": "malware"})
    assert entries(registry, "/feed.atom") == [f"{COMPONENT} 1.0.0"]
    community.ask("boss", "DELETE", f"{PATH}/releases/1.1.0/quarantine")
    assert entries(registry, "/feed.atom") == [f"{COMPONENT} 1.1.0", f"{COMPONENT} 1.0.0"]


def test_an_unchanged_feed_is_not_sent_again(community, registry):
    first = registry.request("GET", "/feed.atom")
    assert "max-age=300" in first.headers["cache-control"]
    again = httpx.get(
        f"{registry.url}/api/v1/feed.atom", headers={"If-None-Match": first.headers["etag"]}, timeout=60
    )
    assert (again.status_code, again.content) == (304, b"")


def test_text_cannot_break_out_of_the_feed(registry):
    nasty = "</summary><script>alert(1)</script>&<![CDATA["
    payload = {"component": "a/b-loader", "version": "1.0.0", "summary": nasty}
    registry.run(registry.services.webhooks.emit("release.listed", "a1", payload))
    root = ET.fromstring(registry.request("GET", "/feed.atom").content)
    assert root.findtext("a:entry/a:summary", "", ATOM) == nasty
    assert root.find(".//script") is None
