"""A registry for tests: a real server on a free port of this machine, with a database of its own."""

import asyncio
import contextlib
import secrets
import ssl
import threading
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from argon2 import PasswordHasher

from dteg.core.clock import Clock, utc_now
from dteg.core.secrets import Secret
from dteg.testing.servers import fresh_port
from registry.access import Principal, Role, Scope
from registry.accounts.models import Account, NewAccount
from registry.accounts.passwords import Passwords
from registry.app import API, create_app
from registry.namespaces.models import Namespace
from registry.services import Services
from registry.settings import RegistrySettings
from registry.tokens.models import NewToken

Result = TypeVar("Result")
PASSWORD = "a long test sentence"  # noqa: S105 - of accounts that live as long as a test
_START_TIMEOUT_S = 60.0
# For `verify=`: nothing is encrypted here, and reading the system's certificates costs 40 ms each time.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# The real one costs 30 ms of a core for each account and login.
_QUICK = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
ALL_BUT_ADMIN = tuple(scope for scope in Scope if scope is not Scope.ADMIN)


class MovableClock:
    """The time of this machine, which a test may stop and move."""

    def __init__(self) -> None:
        self._fixed: datetime | None = None
        self._offset = timedelta()

    def __call__(self) -> datetime:
        """Return the time."""
        return (self._fixed or utc_now()) + self._offset

    def stop_at(self, moment: datetime) -> None:
        """Stand still."""
        self._fixed, self._offset = moment, timedelta()

    def advance(self, **span: float) -> None:
        """Move forward: `advance(minutes=5)`."""
        self._offset += timedelta(**span)


@dataclass(frozen=True)
class RunningRegistry:
    """A registry that runs in a thread of this process.

    Attributes:
        url: Where.
        services: Its services; call them through `run`.
        clock: Its time.
        settings: What it was told.
    """

    url: str
    services: Services
    clock: MovableClock
    settings: RegistrySettings
    loop: asyncio.AbstractEventLoop

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine where the server runs, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def client(self, token: str = "", **options: Any) -> httpx.Client:
        """Return an HTTP client with the API as base; use it in a `with`."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx.Client(
            base_url=f"{self.url}{API}", headers={**headers, **options.pop("headers", {})}, timeout=30,
            verify=NO_TLS, **options,
        )  # fmt: skip

    def request(self, method: str, path: str, *, token: str = "", **options: Any) -> httpx.Response:
        """Send one request; a path that begins with `//` is not below the API."""
        with self.client(token) as client:
            return client.request(
                method, f"{self.url}{path[1:]}" if path.startswith("//") else path, **options
            )

    def make_account(self, login: str, admin: bool = False) -> Account:
        """Make an account with the password `PASSWORD`."""
        new = NewAccount(login=login, email=f"{login}@example.org", password=PASSWORD)
        return self.run(self.services.accounts.create(new, is_admin=admin))

    def who(self, login: str) -> Principal:
        """Return somebody with all rights of their account, to call services with."""
        account = self.run(self.services.accounts.by_login(login))
        scopes = Scope if account.is_admin else ALL_BUT_ADMIN
        return Principal(account.id, account.login, account.is_admin, frozenset(scopes), credential="session")

    def make_namespace(self, name: str, owner: str, **members: Role | str) -> Namespace:
        """Claim a namespace, reserved names too; further members as `login=role`."""
        who = self.who(owner)
        claiming = Principal(who.user_id, who.login, True, frozenset(Scope))
        namespace = self.run(self.services.namespaces.claim(claiming, name))
        for login, role in members.items():
            namespace = self.run(self.services.namespaces.set_member(who, name, login, Role(role)))
        return namespace

    def token_of(
        self, login: str, scopes: Sequence[Scope | str] = (), *, namespace: str = "", component: str = "", expires_days: int = 1
    ) -> str:  # fmt: skip
        """Return a token; without scopes one with all rights that a token can have."""
        who = self.who(login)
        wanted = [Scope(scope) for scope in scopes] or sorted(who.scopes)
        new = NewToken(
            name="test", scopes=wanted, namespace=namespace, component=component, expires_days=expires_days
        )
        return self.run(self.services.tokens.create(who, new))[1]


@contextlib.contextmanager
def running_registry(mongodb_url: str, data_dir: Path, **settings: Any) -> Iterator[RunningRegistry]:
    """Start a registry on a fresh database; stop it and drop the database at the end.

    Args:
        mongodb_url: A server.
        data_dir: Folder of keys and blobs.
        settings: Settings that differ from those for tests.
    """
    port = fresh_port()
    url = f"http://127.0.0.1:{port}"
    given = {
        "mongodb_url": Secret(mongodb_url, literal=True), "database": f"test_{secrets.token_hex(6)}",
        "data_dir": data_dir, "public_url": url, "gate_workers": 0, "requests_per_minute": 100_000,
        "requests_per_minute_unknown": 100_000, "wrong_credentials_per_minute": 100_000, "review_after_days": 0,
        **settings,
    }  # fmt: skip
    told = RegistrySettings.model_validate(given)
    clock = MovableClock()
    with serving(told, clock, port) as (services, loop):
        running = RunningRegistry(url, services, clock, told, loop)
        try:
            yield running
        finally:
            with contextlib.suppress(Exception):  # a test may have ended the server
                running.run(services.database.drop())


@contextlib.contextmanager
def serving(
    settings: RegistrySettings, clock: Clock, port: int
) -> Iterator[tuple[Services, asyncio.AbstractEventLoop]]:
    """Serve in a thread until the end of the `with`."""
    started: dict[str, Any] = {}
    ready = threading.Event()

    async def main() -> None:
        services = Services(settings, clock)
        services.accounts._passwords = Passwords(_QUICK)  # noqa: SLF001
        server = uvicorn.Server(
            uvicorn.Config(
                create_app(settings, services), host="127.0.0.1", port=port, log_config=None, ws="none", lifespan="on",
                timeout_graceful_shutdown=5,
            )
        )  # fmt: skip
        started.update(services=services, server=server, loop=asyncio.get_running_loop())
        watch = asyncio.create_task(_set_when_started(server, ready))
        # Not `serve`, which takes over the signals of the test.
        await server._serve()  # noqa: SLF001
        watch.cancel()

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001 - told to the test below
            started["error"] = error
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="registry", daemon=True)
    thread.start()
    ready.wait(_START_TIMEOUT_S)
    if "error" in started or "server" not in started or not started["server"].started:
        raise RuntimeError("the registry does not start") from started.get("error")
    try:
        yield started["services"], started["loop"]
    finally:
        started["server"].should_exit = True
        thread.join(30)


async def _set_when_started(server: uvicorn.Server, ready: threading.Event) -> None:
    while not server.started:  # noqa: ASYNC110 - the server has no event for it
        await asyncio.sleep(0.01)
    ready.set()
