"""The port through which gates run programs, and what such a run gives."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one run may use; every one of them is enforced from outside the program.

    Attributes:
        wall_s: Time until everything is killed.
        cpu_s: Processor time of one process.
        address_space: Virtual memory of one process (bytes).
        memory: Memory of all processes together, shared pages counted once (bytes).
        processes: Processes and threads together.
        file_size: One file (bytes).
        open_files: Open files of one process.
        work: Size of the working folder, and of /tmp (bytes each).
        output: Kept bytes of standard output and error together.
        results: Bytes that may arrive on the result pipe.
    """

    wall_s: float = 300
    cpu_s: int = 120
    address_space: int = 6144 * MEBIBYTE
    memory: int = 2048 * MEBIBYTE
    processes: int = 256
    file_size: int = 256 * MEBIBYTE
    open_files: int = 512
    work: int = 512 * MEBIBYTE
    output: int = 1 * MEBIBYTE
    results: int = 16 * MEBIBYTE

    def shown(self) -> str:
        """Return them in one line, for reports."""
        return (
            f"wall {self.wall_s:g} s, cpu {self.cpu_s} s, memory {self.memory >> 20} MiB, "
            f"address space {self.address_space >> 20} MiB, processes {self.processes}, "
            f"file {self.file_size >> 20} MiB, work {self.work >> 20} MiB"
        )


@dataclass(frozen=True, slots=True)
class Job:
    """One program of `dteg.gates.inside`.

    Attributes:
        module: Its name there, such as `conformance`.
        site: Folder with the unpacked wheel; the program sees it read-only.
        parameters: JSON for the program.
        trusted: Whether it runs no code of the component, but only reads its files.
        limits: What it may use.
    """

    module: str
    site: Path
    parameters: Mapping[str, Any] = field(default_factory=dict)
    trusted: bool = False
    limits: Limits = Limits()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended.

    Attributes:
        messages: What the program sent.
        forged: Whether something arrived on the result pipe that the program did not send.
        exit_code: Of the program; negative for a signal.
        killed: Why it was killed; empty if it was not.
        log: Its output, cut to the limit.
        peak_memory: Most memory of all processes together that was seen (bytes).
        duration_s: Wall time.
    """

    messages: tuple[dict[str, Any], ...]
    forged: bool
    exit_code: int
    killed: str
    log: str
    peak_memory: int
    duration_s: float

    @property
    def cpu_s(self) -> float:
        """Processor time of the program and the children it waited for, as it says itself."""
        return float(sum(message.get("cpu_s", 0.0) for message in self.messages))

    def result(self) -> dict[str, Any] | None:
        """Return the message that the program sends at its end; None if there is none, or forged ones besides."""
        if self.forged or self.killed:
            return None
        done = [message for message in self.messages if message.get("kind") == "result"]
        return done[0] if len(done) == 1 else None

    def trouble(self) -> str:
        """Say why there is no result."""
        if self.forged:
            return "something else than the gate wrote to the result pipe"
        if self.killed:
            return self.killed
        return f"the program ended early with exit code {self.exit_code}"


class NoSandboxError(Exception):
    """A run was refused because nothing here can hold the component back; says why and what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        """Take reason and remedy."""
        self.reason, self.remedy = reason, remedy
        super().__init__(f"{reason}; {remedy}")


class Runner(Protocol):
    """Runs programs of `dteg.gates.inside`."""

    def run(self, job: Job) -> Outcome:
        """Run one program.

        Raises:
            NoSandboxError: The job runs code of the component and there is no sandbox.
        """

    def describe(self) -> dict[str, str]:
        """Say what holds the component back, for the report."""


def new_nonce() -> str:
    """Return what each line of a program begins with."""
    return secrets.token_hex(16)
