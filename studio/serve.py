"""The studio as a program: one process that listens until Ctrl-C or `dteg stop`."""

import contextlib
import logging.config
import os
import signal
import socket
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from dteg.core.errors import ConflictError, EnvironmentProblemError
from dteg.core.processes import register, registered
from dteg.core.project import Project
from studio.app import create_app
from studio.services import Services
from studio.settings import StudioSettings, is_loopback

SERVER_NAME = "studio"
# `dteg stop` asks, and after five seconds asks less kindly.
_GRACE_S = 3
_BACKLOG = 128
_MAX_MESSAGE_BYTES = 1_000_000
_LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "bare": {"format": "%(message)s"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"},
        "access": {"class": "logging.StreamHandler", "formatter": "bare", "stream": "ext://sys.stderr"},
    },
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"studio.access": {"level": "WARNING", "handlers": ["access"], "propagate": False}},
}


def serve(settings: StudioSettings, *, browse: bool, access_log: bool) -> None:
    """Run until Ctrl-C, SIGTERM or `dteg stop`.

    Args:
        settings: Where to listen, and the rest.
        browse: Whether to open it in the browser.
        access_log: Whether to write one JSON document for each request to standard error.

    Raises:
        ConfigError: The address is open to other machines, and nobody said that this is meant.
        ConflictError: A studio of this project runs already.
        EnvironmentProblemError: There is no project, no warehouse, or the port is taken.
    """
    settings.check()
    # FastAPI gives each body an alias, and knows why; pydantic says so again for a model that is built on first use.
    warnings.filterwarnings("ignore", message="The 'alias' attribute with value", category=UserWarning)
    project = Project.find()
    for server in registered(project):
        if server.name == SERVER_NAME:
            raise ConflictError(
                f"the studio of this project runs already, on port {server.port}; for a link that logs you in: "
                "dteg studio link; to end it: dteg stop"
            )
    logging.config.dictConfig(_LOG_CONFIG)
    if access_log:
        logging.getLogger("studio.access").setLevel(logging.INFO)
    project.warehouse_url()  # starts the embedded server
    services = Services(project, settings)
    # uvicorn puts our handlers back and raises the signal again; the default ones would end the process there.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    with contextlib.closing(_listen(settings)) as listening, contextlib.suppress(KeyboardInterrupt):
        _Server(_config(services), services, lambda: _tell(services, browse)).run(sockets=[listening])


class _Server(uvicorn.Server):
    """Says when it listens, and tells streams to end before it waits for them."""

    def __init__(self, config: uvicorn.Config, services: Services, tell: Callable[[], None]) -> None:
        super().__init__(config)
        self._services = services
        self._tell = tell

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._tell()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._services.stopping.set()
        super().handle_exit(sig, frame)


def _config(services: Services) -> uvicorn.Config:
    return uvicorn.Config(
        create_app(services.settings, services), lifespan="on", server_header=False, access_log=False, log_config=None,
        ws="websockets-sansio", ws_max_size=_MAX_MESSAGE_BYTES, timeout_keep_alive=15,
        timeout_graceful_shutdown=_GRACE_S, proxy_headers=False,
    )  # fmt: skip


def _listen(settings: StudioSettings) -> socket.socket:
    """Take the port before anything else starts, with a message that says what to do."""
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM
        )[0]
        listening = socket.socket(family, kind, proto)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
    except OSError as error:
        raise EnvironmentProblemError(
            f"cannot listen on {settings.host} port {settings.port}: {error.strerror}; choose another with --port"
        ) from None
    return listening


def _tell(services: Services, browse: bool) -> None:
    """Say where it is, with a link that logs one browser in."""
    settings = services.settings
    register(services.project, SERVER_NAME, os.getpid(), settings.port)
    link = f"{settings.url}/login?code={services.credentials.make_code()}"
    print(f"studio: {settings.url} (Ctrl-C or dteg stop ends it)", flush=True)
    if not is_loopback(settings.host):
        print(
            "other machines can reach it: whoever has a token gets in, and nothing on the way is encrypted",
            flush=True,
        )
    print(f"log in: {link} (once, within 10 minutes; another one: dteg studio link)", flush=True)
    if browse:
        import webbrowser

        webbrowser.open(link)


def _leave(*_: object) -> None:
    raise KeyboardInterrupt
