"""What a registry as people run it (no private webhooks) refuses to call."""

import pytest

from registry.testing import running_registry
from registry.webhooks.sender import Sender
from tests.unit.registry.ssrf_corpus import PRIVATE_ADDRESSES, REFUSED_URLS

pytestmark = pytest.mark.integration
URL = "https://hooks.example.org/x"


@pytest.fixture
def registry(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "registry") as running:
        running.run(running.services.webhooks.stop())
        running.make_account("ann")
        running.make_namespace("streaming", "ann")
        yield running


def test_urls_that_are_refused_when_a_webhook_is_made(registry):
    token = registry.token_of("ann")
    accepted = []
    for url in REFUSED_URLS:
        answer = registry.request("POST", "/namespaces/streaming/webhooks", token=token, json={"url": url})
        if answer.status_code != 422:
            accepted.append((url, answer.status_code))
    assert accepted == []
    assert (
        registry.request("POST", "/namespaces/streaming/webhooks", token=token, json={"url": URL}).status_code
        == 201
    )


def test_names_that_lead_to_private_addresses_are_not_called(registry, receiver):
    """The receiver listens on this machine: had a connection been made, it would have been told."""
    token = registry.token_of("ann", expires_days=30)
    made = registry.request("POST", "/namespaces/streaming/webhooks", token=token, json={"url": URL}).json()
    asked = []

    async def resolver(host, port):
        asked.append(host)
        return [PRIVATE_ADDRESSES[len(asked) % len(PRIVATE_ADDRESSES)]]

    registry.services.webhooks.sender = Sender(allow_private=False, resolver=resolver)
    registry.run(registry.services.webhooks.emit("release.listed", "streaming", {}))
    for _ in range(3):
        registry.run(registry.services.webhooks.deliver())
        registry.clock.advance(days=1)
    path = f"/namespaces/streaming/webhooks/{made['id']}/deliveries"
    (delivery,) = registry.request("GET", path, token=token).json()["items"]
    errors = {each["error"] for each in delivery["log"]}
    assert errors == {"not called: the name leads to an address that is not of the internet"}
    assert len(asked) == len(delivery["log"]) == 3
    assert receiver.got == []
