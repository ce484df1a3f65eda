"""A registry for the measurement: a document server that waits for the disk, and `registry serve` with its workers."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.registry.corpus import Corpus
from dteg.core.document_server import DocumentServer
from dteg.core.secrets import Secret
from dteg.testing.servers import fresh_port
from registry.access import Principal, Role, Scope
from registry.accounts.models import NewAccount
from registry.components.store import COMPONENTS, COUNTERS
from registry.namespaces.models import NewKey
from registry.namespaces.store import NAMESPACES
from registry.releases.store import VERSIONS
from registry.services import Services
from registry.settings import PREFIX, RegistrySettings
from registry.tokens.models import NewToken

OWNER = "bench"
NAMESPACE = "bench"
_NO_LIMIT = 1_000_000_000
_AT_ONCE = 500
_START_TIMEOUT_S = 400.0
_STOP_TIMEOUT_S = 30.0
_IDLE_CORES = 0.1


class FailedError(Exception):
    """The registry cannot be measured; the message says why."""


@dataclass
class Registry:
    """A running registry.

    Attributes:
        folder: Folder of its data.
        port: Where on 127.0.0.1.
        settings: What it was told.
        process: `registry serve`.
        token: Good for publishing.
        start_s: From the start of the process to the first answer of a search.
        seed_s: Time to fill it.
    """

    folder: Path
    port: int
    settings: RegistrySettings
    process: subprocess.Popen[bytes]
    token: str
    start_s: float
    seed_s: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def workers(self) -> list[psutil.Process]:
        """Return the processes that answer, without those that only watch or run gates."""
        main = psutil.Process(self.process.pid)
        found = [each for each in main.children(recursive=True) if "spawn_main" in " ".join(each.cmdline())]
        return found or [main]

    def memory_mb(self) -> list[float]:
        """Return the resident memory of each worker (MB)."""
        return [round(each.memory_info().rss / 1e6, 1) for each in self.workers()]

    def cpu_s(self) -> float:
        """Return the CPU time of all workers (seconds)."""
        return sum(sum(each.cpu_times()[:2]) for each in self.workers())

    def wait_until_idle(self) -> None:
        """Wait until all workers have started: the first one answers while others still load what it has read."""
        deadline = time.monotonic() + _START_TIMEOUT_S
        busy = True
        while busy and time.monotonic() < deadline:
            before = self.cpu_s()
            time.sleep(1)
            busy = self.cpu_s() - before > _IDLE_CORES

    def get(self, path: str) -> httpx.Response:
        """Return the answer to one request."""
        return httpx.get(f"{self.url}{path}", headers={"Accept": "*/*"}, timeout=30)

    def json(self, path: str) -> Any:
        """Return the JSON of one request that succeeds."""
        answer = self.get(path)
        if answer.status_code != 200:
            raise FailedError(f"{path} answers {answer.status_code}: {answer.text[:300]}")
        return answer.json()


@contextlib.contextmanager
def running(corpus: Corpus, files: int, *, workers: int = 2, key: str = "") -> Iterator[Registry]:
    """Fill a registry and run it; everything goes at the end.

    Args:
        corpus: What is in it.
        files: How many releases have a real file.
        workers: Processes.
        key: Public key that may publish into the namespace `bench`.
    """
    with tempfile.TemporaryDirectory(prefix="dteg-bench-registry-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        documents = DocumentServer(folder / "mongodb", durable=True, options=("--standalone",))
        documents.start()
        try:
            port = fresh_port()
            settings = RegistrySettings(
                mongodb_url=Secret(f"mongodb://{documents.address}", literal=True), data_dir=folder / "registry",
                public_url=f"http://127.0.0.1:{port}", gate_workers=0,
                requests_per_minute=_NO_LIMIT, requests_per_minute_unknown=_NO_LIMIT,
            )  # fmt: skip
            began = time.perf_counter()
            token = asyncio.run(_fill(settings, corpus, files, key))
            seed_s = time.perf_counter() - began
            with _serving(settings, documents.address, port, workers, folder / "log") as (process, start_s):
                registry = Registry(folder, port, settings, process, token, start_s, seed_s)
                registry.wait_until_idle()
                yield registry
        finally:
            documents.stop()


async def _fill(settings: RegistrySettings, corpus: Corpus, files: int, key: str) -> str:
    """Write what publishing and proving would have written, in bulk, and return a token for publishing."""
    services = Services(settings)
    await services.prepare()
    try:
        stored = [await _file(services, number) for number in range(files)]
        components, versions = services.database[COMPONENTS], services.database[VERSIONS]
        batch: list[dict[str, Any]] = []
        for number in range(len(corpus.manifests)):
            batch += [release.to_mongo() for release in corpus.releases(number, stored)]
            if len(batch) >= _AT_ONCE:
                await versions.insert_many(batch, ordered=False)
                batch = []
        if batch:
            await versions.insert_many(batch, ordered=False)
        documents = [corpus.component(number).to_mongo() for number in range(len(corpus.manifests))]
        for start in range(0, len(documents), _AT_ONCE):
            await components.insert_many(documents[start : start + _AT_ONCE], ordered=False)
        counter = {"$set": {"value": len(documents)}}
        await services.database[COUNTERS].update_one({"_id": "components.rev"}, counter, upsert=True)
        account, token = await _publisher(services, key)
        spaces = [namespace.to_mongo() for namespace in corpus.namespaces(account)]
        await services.database[NAMESPACES].insert_many(spaces, ordered=False)
        return token
    finally:
        await services.database.close()


async def _file(services: Services, number: int) -> tuple[str, int, str]:
    """Store a file of 40 kB, the size of a usual wheel, and a METADATA, from which pages take the README."""

    async def content(data: bytes) -> Any:
        yield data

    wheel, readme = (
        (f"wheel {number} ".encode() * 5_000)[:40_000],
        "Reads and writes.\n\n- one\n- two\n\n" * 30,
    )
    metadata = (
        f"Metadata-Version: 2.4\nName: made-{number}\nVersion: 1.0.0\n\n# Overview\n\n{readme}".encode()
    )
    sha256, size = await services.blobs.put(content(wheel), 1_000_000)
    return sha256, size, (await services.blobs.put(content(metadata), 1_000_000))[0]


async def _publisher(services: Services, key: str) -> tuple[str, str]:
    """Make an account that may publish into the namespace `bench`; return its id and a token."""
    new = NewAccount(login=OWNER, email="bench@example.org", password="a long bench sentence")  # noqa: S106
    account = await services.accounts.create(new, is_admin=True)
    who = Principal(account.id, account.login, True, frozenset(Scope), credential="session")
    await services.namespaces.claim(who, NAMESPACE)
    await services.namespaces.require(who, NAMESPACE, Role.OWNER)
    if key:
        await services.namespaces.add_key(who, NAMESPACE, NewKey(public_key=key, name="bench"))
    wanted = NewToken(name="bench", scopes=[Scope.PUBLISH, Scope.READ], expires_days=1)
    return account.id, (await services.tokens.create(who, wanted))[1]


@contextlib.contextmanager
def _serving(
    settings: RegistrySettings, documents: str, port: int, workers: int, log: Path
) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    given = settings.model_dump(mode="json", exclude={"mongodb_url", "mail_url"})
    environment = {
        **os.environ, "DTEG_MONGODB_URL": f"mongodb://{documents}",
        **{PREFIX + name.upper(): str(value) for name, value in given.items()},
    }  # fmt: skip
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [
        sys.executable, "-m", "registry", "serve", "--port", str(port), "--workers", str(workers), "--no-access-log",
        "--data-dir", str(settings.data_dir), "--public-url", settings.public_url,
    ]  # fmt: skip
    began = time.perf_counter()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
    try:
        _wait(process, port, log)
        yield process, time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            for each in psutil.Process(process.pid).children(recursive=True):
                each.kill()
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{port}/api/v1/search?limit=1", timeout=5).status_code == 200:
                return
        time.sleep(0.05)
    raise FailedError(f"the registry does not start: {log.read_text(errors='replace')[-1500:]}")
