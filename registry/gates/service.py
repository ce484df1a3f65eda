"""Proof before listing, and after: new rules, new versions of dteg."""

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dteg.core.errors import DtegError, NotFoundError, UnavailableError
from dteg.signing import GATES, statement
from registry.blobs.incoming import make_private
from registry.documents import milliseconds
from registry.gates.models import MAX_LOG, Cell, CellStatus, GateRun, Progress, RunKind
from registry.gates.prover import ALL_GATES, CONFORMANCE, SECURITY, Prover, SandboxProver
from registry.gates.store import INDEXES, GateStore
from registry.jobs.models import Job
from registry.releases.models import INSTALLABLE, UNPROVEN, Release, State
from registry.service import Service

if TYPE_CHECKING:
    from dteg.gates import GateReport, GateResult
    from registry.services import Services

KINDS = tuple(kind.value for kind in RunKind)
LEASE_S = 60.0
_LOOK_AGAIN_S = 0.4
_MAX_STARTS = 10
# What could not be told once, such as for want of memory, is tried once more.
_TRIES_WHEN_UNKNOWN = 2
_FORGOTTEN_AFTER = timedelta(minutes=10)
_AT_ONCE = 500


class LostError(DtegError):
    """Another worker has begun the run again: stop."""


class Gates(Service):
    """Runs the gates of releases and keeps what they found.

    Attributes:
        prover: What runs them.
    """

    INDEXES = INDEXES

    def __init__(self, services: "Services") -> None:
        super().__init__(services)
        self._store = GateStore(self.database)
        self.prover: Prover = SandboxProver()

    # --- for clients --------------------------------------------------------------------------------

    async def progress(self, release: str, after: int, wait_s: float) -> Progress:
        """Return what gates have found, waiting for more than `after` results.

        Args:
            release: `namespace/slug@version`.
            after: How many results the client has.
            wait_s: Longest wait (seconds).

        Raises:
            NotFoundError: There is no such release.
        """
        deadline = time.monotonic() + wait_s
        while True:
            # The release first: when it is over, all its results are there.
            found = await self.services.releases.by_id(release)
            run = await self._store.find(_run_id(release, RunKind.LISTING))
            results = run.in_order() if run else []
            if len(results) > after or found.state not in UNPROVEN or time.monotonic() >= deadline:
                return Progress(
                    state=found.state, reason=found.reason, results=results[after:], next=max(after, len(results)),
                    score=found.score,
                )  # fmt: skip
            await asyncio.sleep(min(_LOOK_AGAIN_S, max(0.0, deadline - time.monotonic())))

    async def cells(self, releases: list[str]) -> list[Cell]:
        """Return under which versions releases were proved."""
        return await self._store.cells(releases)

    async def report(self, release: str) -> GateRun | None:
        """Return the run that decided about a release."""
        return await self._store.find(_run_id(release, RunKind.LISTING))

    # --- for workers --------------------------------------------------------------------------------

    async def run_next(self, worker: str, lease_s: float = LEASE_S) -> bool:
        """Take the next job and do it; return whether there was one."""
        return await self.services.jobs.run_one(KINDS, worker, lease_s, self._do)

    async def plan(self) -> int:
        """Ask for what became due: new rules, a new version of dteg, gates that nobody runs; return how many jobs."""
        due = await self._plan_forgotten()
        after = ""
        while releases := await self.services.releases.in_state(*INSTALLABLE, after=after, limit=_AT_ONCE):
            after = releases[-1].id
            for release in releases:
                if release.ruleset != self.prover.ruleset:
                    due += await self._ask(RunKind.RESCAN, release.id, self.prover.ruleset)
        return due + await self._plan_cells()

    async def _plan_cells(self) -> int:
        """The newest release of each component is proved anew under this version of dteg and Python."""
        due, after = 0, ""
        while ids := await self.services.components.ids(after, _AT_ONCE):
            after = ids[-1]
            components = await self.services.components.many(ids)
            newest = [f"{each.id}@{each.latest.any}" for each in components if each.latest.any]
            known = {cell.id for cell in await self._store.cells(newest)}
            for release in newest:
                if self._cell_id(release) not in known:
                    due += await self._ask(RunKind.CELL, release, f"{self.prover.dteg}|{self.prover.python}")
        return due

    async def _plan_forgotten(self) -> int:
        """Releases that wait though no job is left for them, because its holders vanished too often."""
        before = milliseconds(self.clock()) - _FORGOTTEN_AFTER
        waiting = [
            each for each in await self.services.releases.in_state(*UNPROVEN) if each.updated_at < before
        ]
        for release in waiting:
            await self._ask(RunKind.LISTING, release.id, "")
        return len(waiting)

    async def _ask(self, kind: RunKind, release: str, occasion: str) -> int:
        key = f"{release}|{occasion}" if occasion else release
        await self.services.jobs.enqueue(
            kind.value, {"release": release, "occasion": occasion}, dedupe_key=key
        )
        return 1

    async def _do(self, job: Job) -> None:
        try:
            release = await self.services.releases.by_id(job.payload["release"])
        except NotFoundError:
            return
        if job.kind == RunKind.LISTING:
            await self._decide(job, release)
        elif release.state in INSTALLABLE and job.kind == RunKind.RESCAN:
            await self._rescan(job, release)
        elif release.state in INSTALLABLE:
            await self._prove_cell(job, release)

    # --- listing ------------------------------------------------------------------------------------

    async def _decide(self, job: Job, release: Release) -> None:
        if release.state is State.PENDING:
            release = await self.services.releases.move(release.id, expected=State.PENDING, to=State.TESTING)
        if release.state is not State.TESTING:
            return  # decided already
        run = await self._begin(job, release, _run_id(release.id, RunKind.LISTING))
        if run.starts > _MAX_STARTS:
            await self._reject(
                release, "its gates were begun too often without an end: they bring the worker down"
            )
            return
        try:
            report = await self._prove(run, release, ALL_GATES)
        except LostError:
            raise
        except Exception as error:
            if job.tries_left <= 0:
                await self._reject(release, f"its gates could not be run ({type(error).__name__}): report it")
            raise
        await self._conclude(job, release, report)

    async def _conclude(self, job: Job, release: Release, report: "GateReport") -> None:
        statuses = {result.gate: str(result.status) for result in report.results}
        found: dict[str, Any] = {"gates": statuses, "score": round(report.score), "ruleset": report.ruleset}
        if report.passed and report.sha256 == release.sha256:
            found["attestation"] = await self._attest(release, report)
            await self._set_cell(release, report)
            await self.services.releases.move(release.id, expected=State.TESTING, to=State.LISTED, **found)
            return
        failed = [result for result in report.results if str(result.status) != "passed"]
        certain = any(str(result.status) == "failed" for result in failed)
        reason = (
            "; ".join(f"{result.gate}: {result.summary}" for result in failed) or "another file was tested"
        )
        if not certain and job.attempts < _TRIES_WHEN_UNKNOWN:
            raise UnavailableError(f"{release.id} could not be proved: {reason}")
        await self._reject(release, reason[:2000], **found)

    async def _reject(self, release: Release, reason: str, **found: Any) -> None:
        await self.services.releases.move(
            release.id, expected=State.TESTING, to=State.REJECTED, reason=reason, **found
        )

    async def _attest(self, release: Release, report: "GateReport") -> str:
        results = [
            result.model_dump(mode="json", include={"gate", "status", "summary", "metrics", "duration_s"})
            for result in report.results
        ]
        predicate = {
            "component": release.component, "version": release.version, "ruleset": report.ruleset,
            "environment": report.environment, "results": results, "score": report.score, "passed": report.passed,
            "at": milliseconds(self.clock()).isoformat(),
        }  # fmt: skip
        signed = statement(release.filename, release.sha256, GATES, predicate)
        return await self.services.attestations.sign(signed, release=release.id)

    # --- later proof --------------------------------------------------------------------------------

    async def _rescan(self, job: Job, release: Release) -> None:
        run = await self._begin(job, release, _run_id(release.id, RunKind.RESCAN, job.payload["occasion"]))
        report = await self._prove(run, release, (SECURITY,))
        failed = [result for result in report.results if str(result.status) == "failed"]
        if failed:
            reason = f"fails the rules {report.ruleset}: {failed[0].summary}"
            await self.services.releases.quarantine(None, release.id, reason[:500])
        elif all(str(result.status) == "passed" for result in report.results):
            await self.services.releases.note_ruleset(release.id, release.state, report.ruleset)
        else:
            raise UnavailableError(f"{release.id} could not be scanned again: {report.results[0].summary}")

    async def _prove_cell(self, job: Job, release: Release) -> None:
        occasion = job.payload["occasion"]
        if occasion != f"{self.prover.dteg}|{self.prover.python}":
            return  # asked for by a worker of another version, and not to be answered by this one
        run = await self._begin(job, release, _run_id(release.id, RunKind.CELL, occasion))
        await self._set_cell(release, await self._prove(run, release, (CONFORMANCE,)))
        await self.services.components.refresh(release.component)

    async def _set_cell(self, release: Release, report: "GateReport") -> None:
        status = next((str(each.status) for each in report.results if each.gate == CONFORMANCE), "unknown")
        await self._store.set_cell(
            Cell(
                id=self._cell_id(release.id), release=release.id, component=release.component, dteg=self.prover.dteg,
                python=self.prover.python, status=CellStatus.of(status), at=milliseconds(self.clock()),
            )
        )  # fmt: skip

    def _cell_id(self, release: str) -> str:
        return f"{release}|{self.prover.dteg}|{self.prover.python}"

    # --- one run ------------------------------------------------------------------------------------

    async def _begin(self, job: Job, release: Release, run_id: str) -> GateRun:
        # A job may follow another one that was given up: the number has to grow over both.
        before = await self._store.find(run_id)
        attempt = (before.attempt if before else 0) + 1
        run = await self._store.begin(
            run_id, release=release.id, kind=RunKind(job.kind), attempt=attempt, worker=job.worker,
            now=milliseconds(self.clock()),
        )  # fmt: skip
        if run is None:
            raise LostError(f"{run_id} was begun by another worker")
        return run

    async def _prove(self, run: GateRun, release: Release, gates: Sequence[str]) -> "GateReport":
        loop, lost = asyncio.get_running_loop(), threading.Event()
        place = 0

        def listener(result: "GateResult") -> None:
            nonlocal place
            place += 1
            kept = self._store.add(run, result.gate, {**_trimmed(result), "n": place})
            if lost.is_set() or not asyncio.run_coroutine_threadsafe(kept, loop).result(30):
                raise LostError(f"{run.id} was begun by another worker")

        try:
            async with self._wheel(release) as wheel:
                report = await asyncio.to_thread(self.prover.prove, wheel, gates, listener)
        finally:
            lost.set()  # the thread cannot be stopped, but it learns of it when its gate is over
        content = report.model_dump(mode="json", exclude={"results"})
        if not await self._store.end(run, content, milliseconds(self.clock())):
            raise LostError(f"{run.id} was begun by another worker")
        return report

    @asynccontextmanager
    async def _wheel(self, release: Release) -> AsyncIterator[Path]:
        """Yield a copy of the wheel under its own name."""
        folder = make_private(self.settings.data_dir / "gates" / secrets.token_hex(8))
        path = folder / release.filename
        try:
            with path.open("wb") as file:
                async for chunk in self.services.blobs.read(release.sha256):
                    await asyncio.to_thread(file.write, chunk)
            yield path
        finally:
            path.unlink(missing_ok=True)
            folder.rmdir()


def _run_id(release: str, kind: RunKind, occasion: str = "") -> str:
    return "|".join(filter(None, (release, kind.value, occasion)))


def _trimmed(result: "GateResult") -> dict[str, Any]:
    found: dict[str, Any] = result.model_dump(mode="json")
    if len(found.get("log", "")) > MAX_LOG:
        found["log"] = f"… {found['log'][-MAX_LOG:]}"
    return found
