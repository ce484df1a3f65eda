"""The port to the gates themselves, which take seconds to minutes and block."""

import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from dteg import __version__
from dteg.manifest import REQUIRED_GATES

if TYPE_CHECKING:
    from dteg.gates import GateReport, GateResult

CONFORMANCE = "conformance"
SECURITY = "security"
ALL_GATES = REQUIRED_GATES


class Prover(Protocol):
    """Runs gates over a wheel. Adapters: `SandboxProver`, and in tests one that knows its answers.

    Attributes:
        ruleset: Version of the rules.
        dteg: Version of dteg that releases are proved under.
        python: Version of Python, as `3.11`.
    """

    @property
    def ruleset(self) -> str:
        """Version of the rules."""

    @property
    def dteg(self) -> str:
        """Version of dteg that releases are proved under."""

    @property
    def python(self) -> str:
        """Version of Python, as `3.11`."""

    def prove(
        self, wheel: Path, gates: Sequence[str], listener: "Callable[[GateResult], None]"
    ) -> "GateReport":
        """Run gates and return what they found; `listener` hears of each as it ends, and may raise to stop."""


class SandboxProver:
    """The gates of `dteg.gates` in the sandbox of this machine."""

    @property
    def ruleset(self) -> str:
        """Version of the rules."""
        from dteg.gates import advisories, ruleset

        return ruleset(advisories.load())

    @property
    def dteg(self) -> str:
        """Version of dteg here."""
        return __version__

    @property
    def python(self) -> str:
        """Version of Python here."""
        return ".".join(platform.python_version_tuple()[:2])

    def prove(
        self, wheel: Path, gates: Sequence[str], listener: "Callable[[GateResult], None]"
    ) -> "GateReport":
        """Run gates in the sandbox; without one those that need it are `unknown`, and say why."""
        from dteg.gates import run_gates

        return run_gates(wheel, listener=listener, gates=gates)
