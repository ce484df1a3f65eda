"""kill -9 of the server in mid-publish: afterwards there is a whole release or none, and none that was promised is lost.

How the test was seen to fail, in a copy of the tree: with `unfinished` finding nothing, a claim stays without its release
and the version can never be published; with the claim before the files, a release has no file; with a sweep that
deletes nothing, a file stays that no release wants.
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from dteg.core.errors import ConflictError, NotFoundError
from dteg.core.secrets import Secret
from dteg.testing.servers import fresh_port
from registry.services import Services
from registry.settings import MONGODB_VARIABLE, PREFIX, RegistrySettings
from registry.testing import running_registry
from tests.faults.conftest import FULL
from tests.integration.registry.publishing import KnownProver, Publisher, send

pytestmark = [pytest.mark.faults, pytest.mark.timeout(1800)]
POINTS = 50 if FULL else 12
PROJECT = Path(__file__).parents[3]
COMPONENT = "streaming/numbers-extractor"


class Stage:
    """A registry whose server can be started and killed, and looked at without one."""

    def __init__(self, publisher: Publisher, mongodb_url: str, folder: Path) -> None:
        self.publisher = publisher
        told = publisher.registry.settings
        self.settings = RegistrySettings(
            mongodb_url=Secret(mongodb_url, literal=True), database=told.database, data_dir=told.data_dir,
            gate_workers=0, requests_per_minute=100_000, requests_per_minute_unknown=100_000,
        )  # fmt: skip
        self.writes = folder / "writes"
        self.environment = {
            **os.environ, MONGODB_VARIABLE: mongodb_url, "DTEG_TEST_WRITES": str(self.writes),
            f"{PREFIX}DATABASE": told.database, f"{PREFIX}DATA_DIR": str(told.data_dir), f"{PREFIX}GATE_WORKERS": "0",
        }  # fmt: skip
        self.log = (folder / "server.log").open("ab")

    @contextlib.contextmanager
    def server(self, point: str) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
        port = fresh_port()
        command = [sys.executable, "-m", "tests.faults.registry.child", "server", str(port), point]
        process = subprocess.Popen(
            command, cwd=PROJECT, env=self.environment, stdout=self.log, stderr=self.log
        )
        try:
            for _ in range(2400):
                with contextlib.suppress(httpx.TransportError):
                    httpx.get(f"http://127.0.0.1:{port}/healthz")
                    break
                assert process.poll() is None, Path(self.log.name).read_text()
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}", process
        finally:
            process.kill()
            process.wait()

    def publish(self, url: str, wheel: Path) -> int:
        """Return the status; 0 when the server died instead of answering."""
        try:
            return send(url, wheel, self.publisher.envelope(wheel), self.publisher.token).status_code
        except httpx.TransportError:
            return 0

    def look(self, wheel: Path, version: str) -> tuple[bool, list[str]]:
        """Reconcile, then return whether the release is there, and what is half about it or left over."""
        return asyncio.run(self._look(wheel, version))

    async def _look(self, wheel: Path, version: str) -> tuple[bool, list[str]]:
        from datetime import timedelta

        services = Services(self.settings)
        try:
            await services.releases.reconcile(after=timedelta(0))
            await services.releases.sweep_blobs(after=timedelta(0))
            problems = await half(services, version)
            proof = await services.attestations.verify_log()
            problems += [] if proof.ok else [proof.problem]
            there = await exists(services, version)
            if not there:
                await services.releases.publish(
                    self.publisher.registry.who("ann"), wheel, self.publisher.envelope(wheel)
                )
            problems += await half(services, version)
            with pytest.raises(ConflictError):
                await services.releases.publish(
                    self.publisher.registry.who("ann"), wheel, self.publisher.envelope(wheel)
                )
            return there, problems
        finally:
            await services.database.close()


async def exists(services: Services, version: str) -> bool:
    try:
        await services.releases.get(COMPONENT, version)
    except NotFoundError:
        return False
    return True


async def half(services: Services, version: str) -> list[str]:
    """Return what contradicts "a whole release, or none of it"."""
    name, database, problems = f"{COMPONENT}@{version}", services.database, []
    claims = [claim async for claim in database["files"].find({"release": name})]
    on_disk = {path.name for path in services.settings.data_dir.glob("blobs/??/*")}
    wanted = {sha256 async for claim in database["files"].find({}) for sha256 in claim["blobs"]}
    if on_disk != wanted:
        problems.append(f"orphans {on_disk - wanted}, lost {wanted - on_disk}")
    if list(services.settings.data_dir.glob("blobs/.aside/*")):
        problems.append("files set aside")
    if not await exists(services, version):
        return problems + (["a claim without its release"] if claims else [])
    release = await services.releases.get(COMPONENT, version)
    counts = {
        "claims": len(claims),
        "attestations": await database["attestations"].count_documents({"release": name}),
        "jobs": await database["jobs"].count_documents({"payload.release": name}),
        "log": await database["log"].count_documents({"key": f"{name}#0"}),
    }
    if (
        counts != {"claims": 1, "attestations": 2, "jobs": 1, "log": 1}
        or not release.settled
        or not claims[0]["done"]
    ):
        problems.append(f"{counts}, settled {release.settled}, claim done {claims and claims[0]['done']}")
    if [sha256 async for sha256 in services.blobs.read(release.sha256)] == []:
        problems.append("no file")
    return problems


@pytest.fixture
def stage(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "registry") as registry:
        yield Stage(Publisher(registry, tmp_path / "wheels"), mongodb_url, tmp_path)


def test_a_server_killed_in_mid_publish_leaves_a_whole_release_or_none(stage, rng, figures):
    line = figures("kill -9 of the registry in mid-publish", rows=1)
    with stage.server("none") as (url, _):
        # The second one makes the writes of all that follow: the first one also makes the component.
        for version in ("0.0.1", "0.0.2"):
            wheel, began = stage.publisher.wheel(version), time.monotonic()
            assert stage.publish(url, wheel) == 202
            took = time.monotonic() - began
    writes = int(stage.writes.read_text())
    assert writes > 10, "the bomb does not see the writes of a publish"
    points = [f"{number}-{moment}" for number in range(1, writes + 1) for moment in ("before", "after")]
    # Always around the claim, which decides between all and nothing.
    chosen = points[1:6] + rng.sample(points[6:], min(POINTS - 5, len(points) - 6))
    # The others at any moment of it.
    chosen += [f"{rng.uniform(0, took * 0.9):.3f}" for _ in range(POINTS - len(chosen))]
    outcomes = {"acknowledged": 0, "finished": 0, "gone": 0}
    for number, point in enumerate(chosen):
        version = f"1.{number}.0"
        wheel = stage.publisher.wheel(version)
        status = kill_at(stage, point, wheel)
        line.points += 1
        line.landed += status == 0
        there, problems = stage.look(wheel, version)
        assert problems == [], f"after {point}: {problems}"
        assert there or status != 202, f"after {point}: a publish that was acknowledged is lost"
        outcomes["acknowledged" if status == 202 else "finished" if there else "gone"] += 1
    line.note = json.dumps(outcomes | {"publish_ms": round(took * 1000)})
    assert line.landed >= POINTS * 3 // 4
    assert outcomes["finished"]
    assert outcomes["gone"]


def kill_at(stage: Stage, point: str, wheel: Path) -> int:
    """Publish while the server is killed at a write, or (a number) after so many seconds; return the status."""
    if "-" in point:
        with stage.server(point) as (url, _):
            return stage.publish(url, wheel)
    from concurrent.futures import ThreadPoolExecutor

    with stage.server("none") as (url, process), ThreadPoolExecutor(1) as pool:
        answer = pool.submit(stage.publish, url, wheel)
        time.sleep(float(point))
        process.kill()
        return answer.result()


@pytest.mark.parametrize("gate", ["structure", "conformance", "performance"] if FULL else ["conformance"])
def test_the_job_of_a_killed_gate_worker_is_done_by_another_one_once(stage, gate, figures):
    line = figures("kill -9 of a gate worker", rows=1, points=1)
    registry = stage.publisher.registry
    answer = stage.publisher.publish("1.0.0")
    command = [sys.executable, "-m", "tests.faults.registry.child", "worker", gate]
    done = subprocess.run(command, cwd=PROJECT, env=stage.environment, check=False)
    assert done.returncode == -9
    line.landed += 1
    registry.clock.advance(seconds=3)
    prover = KnownProver()
    registry.services.gates.prover = prover
    assert registry.run(registry.services.gates.run_next("other"))
    assert not registry.run(registry.services.gates.run_next("other"))
    assert len(prover.proved) == 1
    release = registry.run(registry.services.releases.by_id(answer["id"]))
    assert release.state == "listed"
    log = registry.request("GET", "/log").json()["items"]
    assert [entry["state"] for entry in log] == ["pending", "testing", "listed"]
    attestations = registry.run(registry.services.attestations.about(release.id))
    assert len(attestations) == 3
