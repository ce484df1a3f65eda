"""People who install, review and talk, in tests."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from dteg.receipts import receipt
from dteg.signing import SigningKey
from registry.testing import RunningRegistry
from tests.integration.registry.publishing import Publisher

COMPONENT = "streaming/numbers-extractor"
PATH = f"/components/{COMPONENT}"


class Community:
    """A registry with one listed component of `ann`, and accounts made when first named."""

    def __init__(self, registry: RunningRegistry, publisher: Publisher, **component: Any) -> None:
        self.registry, self.publisher = registry, publisher
        publisher.token = registry.token_of(publisher.login, expires_days=300)  # tests move the clock
        self.release = publisher.list(**component)
        self._tokens = {publisher.login: publisher.token}

    def token(self, login: str, *, admin: bool = False) -> str:
        """Return a token with all rights of an account."""
        if login not in self._tokens:
            self.registry.make_account(login, admin=admin)
            self._tokens[login] = self.registry.token_of(login, expires_days=300)
        return self._tokens[login]

    def ask(self, login: str, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request as somebody; "" is nobody."""
        return self.registry.request(method, path, token=self.token(login) if login else "", **options)

    def install(
        self, login: str, key: SigningKey | None = None, release: dict[str, Any] | None = None, **told: Any
    ) -> httpx.Response:
        """Send the receipt of an installation."""
        release = release or self.release
        body = receipt(
            key or SigningKey.generate(),
            **{
                "component": release["component"], "version": release["version"], "sha256": release["sha256"],
                "at": self.registry.clock(), "environment": {"python": "3.11", "system": "linux"}, **told,
            },
        )  # fmt: skip
        return self.ask(login, "POST", "/installs", json=body)

    def review(self, login: str, stars: int, text: str = "") -> httpx.Response:
        """Write a review of the component."""
        return self.ask(login, "PUT", f"{PATH}/review", json={"stars": stars, "text": text})

    def component(self) -> dict[str, Any]:
        """Return the component as everybody sees it."""
        return self.ask("", "GET", PATH).json()


def at_once(work: Any, items: Any, threads: int = 8) -> list[Any]:
    """Do the same with several items at the same time."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(work, items))


def all_pages(ask: Any, path: str, limit: int) -> list[dict[str, Any]]:
    """Return the items of all pages of a list."""
    items, after = [], ""
    while True:
        page = ask("GET", path, params={"limit": limit, **({"after": after} if after else {})}).json()
        items += page["items"]
        if page["next"] is None:
            return items
        after = page["next"]
