"""A studio for tests: a real server on a free port of this machine."""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from dteg.core.project import Project
from dteg.sources.relaying import Relaying
from dteg.studio_client import API, StudioClient
from dteg.testing.servers import fresh_port
from dteg.tokens.local import local_token
from dteg.tokens.models import NewToken, Scope
from studio.app import create_app
from studio.credentials import OWNER
from studio.services import Services
from studio.settings import StudioSettings

# For `verify=`: nothing is encrypted here, and reading the system's certificates takes 16 ms each time.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_START_TIMEOUT_S = 60.0


@dataclass
class RunningStudio:
    """A studio that runs in a thread of this process.

    Attributes:
        url: Where.
        token: The project's own, which may do everything.
        client: Talks with it as the owner.
        services: Its services.
        project: Its project.
    """

    url: str
    token: str
    client: StudioClient
    services: Services
    project: Project
    _made: int = field(default=0, repr=False)

    def token_of(self, *scopes: Scope | str, topics: list[str] | None = None) -> str:
        """Return a new token with these scopes."""
        self._made += 1
        wanted = [Scope(scope) for scope in scopes]
        new = NewToken(name=f"test-{self._made}", scopes=wanted, topics=topics or [], expires_days=1)
        return self.services.tokens.create(new).token

    def client_of(self, *scopes: Scope | str, topics: list[str] | None = None) -> StudioClient:
        """Return a client with a new token of these scopes."""
        return StudioClient(self.url, self.token_of(*scopes, topics=topics))

    def request(self, method: str, path: str, *, token: str | None = None, **options: Any) -> httpx.Response:
        """Send one request; `token` is by default the owner's, "" is nobody.

        Args:
            method: HTTP method.
            path: Below /api/v1; one that begins with `//` is not below it.
            token: Credential.
            options: For httpx.
        """
        token = self.token if token is None else token
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        url = f"{self.url}{path[1:]}" if path.startswith("//") else f"{self.url}{API}{path}"
        with httpx.Client(timeout=60, trust_env=False, verify=NO_TLS) as client:
            return client.request(method, url, headers=headers, **options)

    def browser(self) -> httpx.Client:
        """Return a client that is logged in to the pages as the owner; use it in a `with`."""
        credentials = self.services.credentials
        cookies = {credentials.cookie: credentials.log_in(OWNER)}
        return httpx.Client(base_url=self.url, timeout=60, trust_env=False, cookies=cookies, verify=NO_TLS)

    def csrf_of(self, browser: httpx.Client) -> str:
        """Return what forms of a browser's login carry in `csrf`."""
        credentials = self.services.credentials
        return credentials.csrf_token(browser.cookies[credentials.cookie])


@contextlib.contextmanager
def running_studio(project: Project, **settings: Any) -> Iterator[RunningStudio]:
    """Start a studio, without its background work unless `background=True`; stop it at the end.

    Args:
        project: Its project; the warehouse is the one of `DTEG_POSTGRES_URL`, if that is set.
        settings: Settings that differ from those for tests.
    """
    port = fresh_port()
    told = StudioSettings.model_validate({"port": port, "background": False, **settings})
    services = Services(project, told)
    with _serving(services), StudioClient(told.url, local_token(project)) as client:
        try:
            yield RunningStudio(told.url, local_token(project), client, services, project)
        finally:
            # It goes on without the studio that made it, for commands; a test leaves none.
            Relaying(project).stop()


def empty_project(folder: Path) -> Project:
    """Make a project without pipelines."""
    (folder / "pipelines").mkdir(parents=True, exist_ok=True)
    return Project(folder)


@contextlib.contextmanager
def _serving(services: Services) -> Iterator[None]:
    """Serve in a thread until the end of the `with`."""
    app = create_app(services.settings, services)
    server = uvicorn.Server(
        uvicorn.Config(
            app, host="127.0.0.1", port=services.settings.port, log_config=None, lifespan="on",
            timeout_graceful_shutdown=5,
        )
    )  # fmt: skip
    failed: list[BaseException] = []
    ended = threading.Event()

    def run() -> None:
        try:
            # Not `run` or `serve`, which take over the signals of the test.
            asyncio.run(server._serve())  # noqa: SLF001
        except BaseException as error:  # noqa: BLE001 - told to the test below
            failed.append(error)
        finally:
            ended.set()

    thread = threading.Thread(target=run, name="studio", daemon=True)
    thread.start()
    for _ in range(int(_START_TIMEOUT_S * 100)):
        if server.started or ended.wait(0.01):
            break
    if not server.started:
        raise RuntimeError("the studio does not start") from (failed[0] if failed else None)
    try:
        yield
    finally:
        services.stopping.set()
        server.should_exit = True
        thread.join(30)
