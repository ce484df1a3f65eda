"""What a run did, for the command line, Dagster and tests."""

from dataclasses import asdict, dataclass, field
from typing import Any

from dteg.connectors.base import LoadResult
from dteg.quality import CheckResult


@dataclass(frozen=True)
class StreamResult:
    """One stream, loaded.

    Attributes:
        stream: Name of the stream.
        target: Table or file it went to.
        load: Counts of the load.
        columns: Columns of the target as loaded: name -> SQL type.
        read_all: Whether the whole source was read, and not only what is new.
        path: Which way the records went, and why.
        changes: What the schema policy changed, in sentences.
        checks: Results of the quality rules.
        seconds: Seconds from opening both ends to the publish; the three that follow overlap within it.
        extract_s: Seconds spent waiting for the source.
        process_s: Seconds in processors and casts.
        load_s: Seconds in the loader.
        check_s: Seconds in the quality rules.
    """

    stream: str
    target: str
    load: LoadResult
    columns: dict[str, str] = field(default_factory=dict)
    read_all: bool = False
    path: str = ""
    changes: list[str] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    seconds: float = 0.0
    extract_s: float = 0.0
    process_s: float = 0.0
    load_s: float = 0.0
    check_s: float = 0.0

    @property
    def blocked(self) -> bool:
        """Whether a rule of severity error failed."""
        return any(not check.passed and check.severity == "error" for check in self.checks)


@dataclass(frozen=True)
class TransformResult:
    """One transform step.

    Attributes:
        name: What ran, such as `dbt +events`.
        models: Models or statements that ran.
        tests_passed: dbt tests that passed.
        tests_failed: dbt tests that failed.
        seconds: Duration.
        startup_s: Part of it spent on importing dbt.
        messages: One line for each failure.
    """

    name: str
    models: int = 0
    tests_passed: int = 0
    tests_failed: int = 0
    seconds: float = 0.0
    startup_s: float = 0.0
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class RunResult:
    """One run of a pipeline.

    Attributes:
        pipeline: Its name.
        run_id: Identity of the run.
        streams: What was loaded.
        transforms: What ran afterwards.
        seconds: Duration of the whole run.
    """

    pipeline: str
    run_id: str
    streams: list[StreamResult] = field(default_factory=list)
    transforms: list[TransformResult] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def succeeded(self) -> bool:
        """Whether no blocking rule and no transform failed."""
        tests_failed = any(transform.tests_failed or transform.messages for transform in self.transforms)
        return not tests_failed and not any(stream.blocked for stream in self.streams)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-able dict."""
        data = asdict(self)
        for stream, shown in zip(self.streams, data["streams"], strict=True):
            shown["checks"] = [check.to_json() for check in stream.checks]
        return {**data, "succeeded": self.succeeded}
