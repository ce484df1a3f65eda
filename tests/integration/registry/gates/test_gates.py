"""Jobs of the gates: workers that die or come late, new rules, new versions of dteg. The gates themselves are elsewhere."""

import threading

import pytest

from dteg.manifest import REQUIRED_GATES
from registry.releases.models import State
from tests.integration.registry.publishing import KnownProver, Publisher, api, run_gates


class Killed(BaseException):
    """The worker process is gone: nothing after it runs."""


@pytest.fixture
def publisher(registry, tmp_path):
    return Publisher(registry, tmp_path / "wheels")


def test_a_job_of_a_dead_worker_is_done_by_another_one_once(registry, publisher):
    """Seen red: with `claim` blind for leases that ran out the release stays `testing` for ever."""
    answer = publisher.publish()
    gates, jobs = registry.services.gates, registry.services.jobs

    async def take_and_vanish():
        job = await jobs.claim(["gates"], "dead", 60)
        release = await registry.services.releases.by_id(job.payload["release"])
        moved = await registry.services.releases.move(release.id, expected=release.state, to=State.TESTING)
        run = await gates._begin(job, moved, f"{release.id}|gates")
        await gates._store.add(run, "structure", {"gate": "structure", "status": "passed", "n": 1})

    registry.run(take_and_vanish())
    assert run_gates(registry, KnownProver(), "other") == 0
    half = registry.request("GET", f"{api(answer['url'])}/gates").json()
    assert (half["state"], half["next"]) == ("testing", 1)

    registry.clock.advance(seconds=61)
    prover = KnownProver()
    assert run_gates(registry, prover, "other") == 1
    assert prover.proved == ["streaming/numbers-extractor@1.0.0"]
    whole = registry.request("GET", f"{api(answer['url'])}/gates").json()
    assert (whole["state"], [each["gate"] for each in whole["results"]]) == ("listed", list(REQUIRED_GATES))
    log = registry.request("GET", "/log").json()["items"]
    assert [entry["state"] for entry in log] == ["pending", "testing", "listed"]


def test_a_worker_that_lost_its_job_changes_nothing_any_more(registry, publisher):
    """Seen red: without the attempt in the guard of `GateStore.add` the late worker's `failed` was shown."""
    answer = publisher.publish()
    slow_is_in, go_on = threading.Event(), threading.Event()

    def before(gate):
        if gate == "security":
            slow_is_in.set()
            assert go_on.wait(120)

    slow = KnownProver({"security": "failed"}, before=before)
    registry.services.gates.prover = slow
    import asyncio

    late = asyncio.run_coroutine_threadsafe(registry.services.gates.run_next("slow", 3600), registry.loop)
    assert slow_is_in.wait(120)
    registry.clock.advance(hours=2)
    assert run_gates(registry, KnownProver(), "quick") == 1
    go_on.set()
    late.result(120)
    progress = registry.request("GET", f"{api(answer['url'])}/gates").json()
    assert progress["state"] == "listed"
    assert {each["status"] for each in progress["results"]} == {"passed"}
    assert run_gates(registry, KnownProver({"security": "failed"})) == 0


def test_gates_that_crash_end_in_a_rejection(registry, publisher):
    answer = publisher.publish()

    def crash(gate):
        raise OSError("out of memory")

    for _ in range(5):
        run_gates(registry, KnownProver(before=crash))
        registry.clock.advance(hours=2)
    release = registry.request("GET", api(answer["url"])).json()
    assert (release["state"], "could not be run" in release["reason"]) == ("rejected", True)


def test_a_release_that_brings_every_worker_down_is_rejected(registry, publisher):
    answer = publisher.publish()
    for _ in range(20):
        job = registry.run(registry.services.jobs.claim(["gates"], "w", 1))
        if job is not None:
            with pytest.raises(Killed):
                registry.run(_begin_and_die(registry, job))
        registry.clock.advance(hours=1)
        registry.run(registry.services.jobs.sweep())
        registry.run(registry.services.gates.plan())
    run_gates(registry, KnownProver())
    release = registry.request("GET", api(answer["url"])).json()
    assert (release["state"], "begun too often" in release["reason"]) == ("rejected", True)


async def _begin_and_die(registry, job):
    release = await registry.services.releases.by_id(job.payload["release"])
    if release.state == "pending":
        release = await registry.services.releases.move(release.id, expected=release.state, to=State.TESTING)
    await registry.services.gates._begin(job, release, f"{release.id}|gates")
    raise Killed


def test_new_rules_quarantine_only_the_release_that_breaks_them(registry, publisher):
    for version in ("1.0.0", "1.1.0"):
        publisher.list(version)
    bad = "streaming/numbers-extractor@1.1.0"

    class NewRules(KnownProver):
        def prove(self, wheel, gates, listener):
            self.statuses = {"security": "failed"} if "-1.1.0-" in wheel.name else {}
            return super().prove(wheel, gates, listener)

    prover = NewRules(ruleset="rules-2")
    registry.services.gates.prover = prover
    assert registry.run(registry.services.gates.plan()) == 2
    assert registry.run(registry.services.gates.plan()) == 2  # the same jobs
    assert run_gates(registry, prover) == 2
    base = "/components/streaming/numbers-extractor"
    states = {each["version"]: each for each in registry.request("GET", f"{base}/releases").json()["items"]}
    assert (states["1.0.0"]["state"], states["1.1.0"]["state"]) == ("listed", "quarantined")
    assert states["1.1.0"]["reason"] == "fails the rules rules-2: security failed"
    assert registry.request("GET", base).json()["latest"]["stable"] == "1.0.0"
    assert registry.run(registry.services.gates.plan()) == 0
    assert len(registry.services.index.project("dteg-streaming-numbers-extractor").files) == 1
    assert bad in str(registry.run(registry.services.audit.page()))


def test_a_new_version_of_dteg_proves_the_newest_release_of_each_component(registry, publisher):
    for version in ("1.0.0", "1.1.0"):
        publisher.list(version)
    prover = KnownProver({"conformance": "failed"}, dteg="99.0.0")
    registry.services.gates.prover = prover
    assert registry.run(registry.services.gates.plan()) == 1
    assert run_gates(registry, prover) == 1
    path = "/components/streaming/numbers-extractor/releases"
    cells = registry.request("GET", f"{path}/1.1.0/compatibility").json()["items"]
    assert [(cell["dteg"], cell["status"]) for cell in cells if cell["dteg"] == "99.0.0"] == [
        ("99.0.0", "fail")
    ]
    assert registry.request("GET", f"{path}/1.1.0").json()["state"] == "listed"
    assert len(registry.request("GET", f"{path}/1.0.0/compatibility").json()["items"]) == 1
    assert registry.run(registry.services.gates.plan()) == 0
