"""What publishes in tests: an account with a namespace and a key, and gates that know their answers."""

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from dteg import __version__
from dteg.gates.report import GateReport, GateResult
from dteg.manifest import REQUIRED_GATES
from dteg.packages import inspect_wheel
from dteg.signing import PUBLISH, SigningKey, statement
from registry.namespaces.models import NewKey
from registry.testing import NO_TLS, RunningRegistry
from tests.factories import make_wheel


class Publisher:
    """A maintainer with a namespace, a key of it and a token."""

    def __init__(
        self, registry: RunningRegistry, folder: Path, namespace: str = "streaming", login: str = "ann"
    ) -> None:
        self.registry, self.folder, self.namespace, self.login = registry, folder, namespace, login
        registry.make_account(login)
        registry.make_namespace(namespace, login)
        self.key = SigningKey.generate()
        who = registry.who(login)
        registry.run(registry.services.namespaces.add_key(who, namespace, NewKey(public_key=self.key.public)))
        self.token = registry.token_of(login)

    def wheel(self, version: str = "1.0.0", **component: Any) -> Path:
        return make_wheel(self.folder, namespace=self.namespace, version=version, **component)

    def envelope(self, wheel: Path, key: SigningKey | None = None) -> dict[str, Any]:
        sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
        return (key or self.key).sign(statement(wheel.name, sha256, PUBLISH, {"namespace": self.namespace}))

    def send(
        self, wheel: Path, *, envelope: dict[str, Any] | None = None, token: str | None = None
    ) -> httpx.Response:
        return send(self.registry.url, wheel, envelope or self.envelope(wheel), token or self.token)

    def publish(self, version: str = "1.0.0", **component: Any) -> dict[str, Any]:
        """Publish a version and return the answer."""
        answer = self.send(self.wheel(version, **component))
        assert answer.status_code == 202, answer.text
        return answer.json()

    def list(self, version: str = "1.0.0", **component: Any) -> dict[str, Any]:
        """Publish a version, let its gates pass, and return the release."""
        answer = self.publish(version, **component)
        run_gates(self.registry, KnownProver())
        release = self.registry.request("GET", api(answer["url"])).json()
        assert release["state"] == "listed", release
        return release


class KnownProver:
    """Gates whose answers are given: a `Prover`.

    Args:
        statuses: What each gate says; all others pass.
        ruleset: Version of the rules.
        dteg: Version of dteg that releases are proved under.
        before: Called before each gate, with its name.
    """

    python = "3.11"

    def __init__(
        self, statuses: dict[str, str] | None = None, *, ruleset: str = "rules-1", dteg: str = __version__,
        before: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        self.statuses, self.ruleset, self.dteg, self.before = statuses or {}, ruleset, dteg, before
        self.proved: list[str] = []
        self._lock = threading.Lock()

    def prove(self, wheel: Path, gates: Sequence[str], listener: Callable[[GateResult], None]) -> GateReport:
        contents = inspect_wheel(wheel)
        with self._lock:
            self.proved.append(
                f"{contents.manifest.namespace}/{contents.manifest.slug}@{contents.manifest.version}"
            )
        results = []
        for gate in gates:
            self.before(gate)
            status = self.statuses.get(gate, "passed")
            results.append(GateResult(gate=gate, status=status, summary=f"{gate} {status}", log="log of it"))
            listener(results[-1])
        passed = all(result.status == "passed" for result in results) and tuple(gates) == REQUIRED_GATES
        return GateReport(
            component=f"{contents.manifest.namespace}/{contents.manifest.slug}", version=contents.manifest.version,
            sha256=contents.sha256, ruleset=self.ruleset, environment={"sandbox": "none: answers are given"},
            results=results, score=90, passed=passed,
        )  # fmt: skip


def send(url: str, wheel: Path, envelope: dict[str, Any], token: str, **options: Any) -> httpx.Response:
    """Publish over HTTP."""
    return httpx.post(
        f"{url}/api/v1/releases",
        files={"wheel": (wheel.name, wheel.read_bytes())},
        data={"signature": json.dumps(envelope)},
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=60, verify=NO_TLS, **options,
    )  # fmt: skip


def run_gates(registry: RunningRegistry, prover: KnownProver, worker: str = "w1") -> int:
    """Do all jobs of the gates that are due; return how many."""
    registry.services.gates.prover = prover
    done = 0
    while registry.run(registry.services.gates.run_next(worker)):
        done += 1
    registry.run(registry.services.index.refresh())
    return done


def api(url: str) -> str:
    """Return the path below the API of an address in an answer."""
    return url.partition("/api/v1")[2]
