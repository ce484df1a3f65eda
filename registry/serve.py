"""The registry as a program: what starts and stops the web server and, if asked, the document server."""

import asyncio
import contextlib
import ipaddress
import logging
import os
import secrets
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI

from dteg.core.document_server import dies_with_parent
from dteg.core.errors import ConfigError, UnavailableError
from dteg.core.secrets import resolve
from registry.accounts.models import NewAccount
from registry.app import create_app
from registry.gates.worker import worker_processes
from registry.services import Services
from registry.settings import MONGODB_VARIABLE, PREFIX, RegistrySettings

PASSWORD_VARIABLE = f"{PREFIX}ADMIN_PASSWORD"
_WORKER_VARIABLE = f"{PREFIX}IS_WORKER"
_GRACE_S = 10
_LOG_CONFIG: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"},
        "bare": {"format": "%(message)s"},
    },
    "handlers": {
        "stderr": {"class": "logging.StreamHandler", "formatter": "plain", "stream": "ext://sys.stderr"},
        # One JSON document a line, for whatever collects logs.
        "access": {"class": "logging.StreamHandler", "formatter": "bare", "stream": "ext://sys.stderr"},
    },
    "root": {"level": "WARNING", "handlers": ["stderr"]},
    "loggers": {"registry.access": {"level": "INFO", "handlers": ["access"], "propagate": False}},
}


@dataclass(frozen=True)
class Listening:
    """Where and how to listen.

    Attributes:
        host: Address.
        port: Port.
        workers: Processes.
        behind_tls_proxy: A proxy in front speaks TLS with the users.
        proxy_address: Whose `X-Forwarded-*` headers are believed.
        tls_cert: Certificate chain as PEM.
        tls_key: Its key.
        access_log: Whether each request is logged.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    workers: int = 2
    behind_tls_proxy: bool = False
    proxy_address: str = "127.0.0.1"
    tls_cert: Path | None = None
    tls_key: Path | None = None
    access_log: bool = True

    def check(self) -> None:
        """Refuse to send passwords over a network in the clear.

        Raises:
            ConfigError: With what is wrong.
        """
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ConfigError("give both --tls-cert and --tls-key, or neither")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise ConfigError(f"{path} is not a file")
        if not (_is_loopback(self.host) or self.behind_tls_proxy or self.tls_cert):
            raise ConfigError(
                f"--host {self.host} would take passwords over the network in the clear: give --tls-cert and "
                "--tls-key, or --behind-tls-proxy if a proxy in front speaks TLS"
            )

    @property
    def url(self) -> str:
        """Where it is reached on this machine."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"


def serve(listening: Listening, *, embedded: bool, **given: object) -> None:
    """Run until Ctrl-C or SIGTERM.

    Args:
        listening: Where and how.
        embedded: Whether to bring the document server too.
        given: Settings that win over the environment.

    Raises:
        ConfigError: A setting is missing or wrong.
        EnvironmentProblemError: The document server is not there or does not start.
    """
    listening.check()
    given.setdefault("public_url", os.environ.get(f"{PREFIX}PUBLIC_URL") or listening.url)
    with contextlib.ExitStack() as stack:
        # uvicorn puts our handler back and raises the signal again: without one the process would end here and leave
        # the document server to itself.
        signal.signal(signal.SIGTERM, _leave)
        settings = stack.enter_context(told(embedded, join=False, **given))
        _export(settings)
        asyncio.run(_first_start(settings, embedded))
        print(f"registry: {settings.public_url} (Ctrl-C stops it)", flush=True)
        stack.enter_context(worker_processes(settings.gate_workers))
        stack.enter_context(contextlib.suppress(KeyboardInterrupt))
        _run(listening)


def app_from_environment() -> FastAPI:
    """Return the app of one worker; its settings come from the environment."""
    if os.environ.get(_WORKER_VARIABLE) and (ask := dies_with_parent()) is not None:
        ask()
    return create_app(RegistrySettings.from_environment(), owns_process=True)


async def make_admin(settings: RegistrySettings, login: str, email: str, password: str) -> None:
    """Make an account that administers the registry.

    Raises:
        ConflictError: The login or the address is taken.
        InputError: The password is too easy.
        UnavailableError: MongoDB does not answer.
    """
    services = Services(settings)
    try:
        await services.prepare()
        await services.accounts.create(NewAccount(login=login, email=email, password=password), is_admin=True)
    finally:
        await services.database.close()


def password_from_environment() -> str:
    """Return the password in DTEG_REGISTRY_ADMIN_PASSWORD, which may be a `secret://` reference; "" without."""
    value = os.environ.get(PASSWORD_VARIABLE, "")
    return resolve(value) if value.startswith("secret://") else value


def _run(listening: Listening) -> None:
    config = {
        "host": listening.host, "port": listening.port, "workers": listening.workers, "factory": True,
        "loop": "uvloop", "http": "httptools", "ws": "none", "lifespan": "on",
        "server_header": False, "access_log": False, "log_config": _log_config(listening),
        "proxy_headers": listening.behind_tls_proxy, "forwarded_allow_ips": listening.proxy_address,
        "ssl_certfile": listening.tls_cert, "ssl_keyfile": listening.tls_key,
        "timeout_keep_alive": 15, "timeout_graceful_shutdown": _GRACE_S,
    }  # fmt: skip
    if listening.workers > 1:
        os.environ[_WORKER_VARIABLE] = "1"
    uvicorn.run(f"{__name__}:{app_from_environment.__name__}", **config)  # type: ignore[arg-type]


def _log_config(listening: Listening) -> dict[str, Any]:
    if listening.access_log:
        return _LOG_CONFIG
    return {**_LOG_CONFIG, "loggers": {"registry.access": {"level": "WARNING"}}}


@contextlib.contextmanager
def told(embedded: bool, *, join: bool = True, **given: object) -> Iterator[RegistrySettings]:
    """Yield the settings, with the document server running if it is embedded.

    Args:
        embedded: Whether to bring the document server.
        join: Whether to use the one that a running registry of this data folder has brought.
        given: Settings that win over the environment.

    Raises:
        ConfigError: A setting is missing or wrong.
        EnvironmentProblemError: The document server is not there or does not start.
    """
    if not embedded:
        yield RegistrySettings.from_environment(**given)
        return
    from registry.embedded import embedded_mongodb

    # Only to learn folder and database: the URL is not known yet.
    os.environ[MONGODB_VARIABLE] = "mongodb://127.0.0.1"
    settings = RegistrySettings.from_environment(**given)
    with embedded_mongodb(settings.data_dir, settings.database, join=join) as url:
        os.environ[MONGODB_VARIABLE] = url
        yield settings


def _export(settings: RegistrySettings) -> None:
    """Tell the workers, which are processes of their own; addresses with passwords are in the environment already."""
    for name, value in settings.model_dump(mode="json", exclude={"mongodb_url", "mail_url"}).items():
        os.environ[PREFIX + name.upper()] = str(value)


async def _first_start(settings: RegistrySettings, embedded: bool) -> None:
    """Make an administrator where there is none."""
    services = Services(settings)
    try:
        await services.prepare()
        if await services.accounts.any_admin():
            return
        if not embedded:
            print("no administrator yet; make one: dteg registry create-admin LOGIN", file=sys.stderr)
            return
        given = password_from_environment()
        password = given or secrets.token_urlsafe(15)
        new = NewAccount(login="admin", email="admin@localhost.invalid", password=password)
        await services.accounts.create(new, is_admin=True)
        shown = f"from {PASSWORD_VARIABLE}" if given else f"{password}   (shown only now)"
        print(f"administrator: admin, password {shown}", flush=True)
    except UnavailableError as error:
        logging.getLogger(__name__).warning("%s", error)
    finally:
        await services.database.close()


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _leave(*_: object) -> None:
    raise SystemExit(0)
