"""A shop: components that cost something, organisations that buy, and the provider that moves no money."""

from datetime import UTC, datetime

import httpx
import pytest

from registry.testing import NO_TLS, running_registry
from tests.integration.registry.community import Community
from tests.integration.registry.publishing import Publisher

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Shop(Community):
    """A component of `ann` that costs something, and the organisation `initech` of `bill` with a reader `sam`."""

    def __init__(self, registry, publisher, **pricing):
        super().__init__(registry, publisher, pricing=pricing)
        for login in ("bill", "sam", "eve"):
            self.token(login)
        registry.make_namespace("initech", "bill", sam="reader")

    def download(self, login, password=""):
        """Ask for the wheel as pip does."""
        release = self.release
        secret = password or (self.token(login) if login else "")
        return httpx.get(
            f"{self.registry.url}/files/{release['sha256']}/{release['filename']}",
            auth=("__token__", secret) if secret else None, timeout=60, verify=NO_TLS,
        ).status_code  # fmt: skip

    def give(self, *, organisation="initech", login="ann", days=30, **more):
        until = self.registry.clock.__call__().timestamp() + days * 86_400
        body = {"organisation": organisation, "until": datetime.fromtimestamp(until, UTC).isoformat(), **more}
        return self.ask(login, "POST", "/components/streaming/numbers-extractor/licences", json=body)

    def order(self, login="bill", organisation="initech", **more):
        body = {"organisation": organisation, **more}
        return self.ask(login, "POST", "/components/streaming/numbers-extractor/checkout", json=body)

    def licence(self, login="bill"):
        (found,) = self.ask(login, "GET", "/licences").json()["items"]
        return found

    def stored(self, order):
        return self.registry.run(self.registry.services.licences.checkouts._store.order(order["id"]))

    def call(self, kind, order, **options):
        """Return the provider's call about an order."""
        provider = self.registry.services.licences.checkouts.provider
        return provider.call(kind, self.stored(order), self.registry.clock(), **options)

    def send(self, call):
        headers, body = call
        return self.registry.request("POST", "/payments/test/callback", headers=headers, content=body)

    def pay(self, order):
        answer = self.send(self.call("paid", order))
        assert answer.status_code == 200, answer.text


@pytest.fixture
def registry(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "registry", payments="test") as running:
        running.clock.stop_at(START)
        yield running


@pytest.fixture
def shop(registry, tmp_path):
    def make(model="enterprise", amount_minor=19_900, currency="EUR", per="month"):
        return Shop(
            registry, Publisher(registry, tmp_path / "wheels"), model=model, amount_minor=amount_minor, currency=currency, per=per
        )  # fmt: skip

    return make
