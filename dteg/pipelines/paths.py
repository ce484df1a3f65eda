"""The two ways records travel: as bytes that nobody looks into, or as Arrow batches."""

from dataclasses import dataclass

from dteg.connectors.base import LoadSession
from dteg.connectors.native import NativeFormat, NativeLoadSession, NativeSource
from dteg.pipelines.plan import Flow


@dataclass(frozen=True, slots=True)
class Relay:
    """Bytes of one engine go from source to target as they are.

    Attributes:
        source: Where they come from.
        session: Where they go.
        format: What both agreed on.
    """

    source: NativeSource
    session: NativeLoadSession
    format: NativeFormat

    def __str__(self) -> str:
        """Say it for people."""
        return f"relay: {self.format.engine}'s own {self.format.wire} bytes, not decoded on the way"


@dataclass(frozen=True, slots=True)
class Batches:
    """Records are decoded into Arrow batches.

    Attributes:
        reason: Why they are not relayed.
    """

    reason: str

    def __str__(self) -> str:
        """Say it for people."""
        return f"batches: {self.reason}"


Path = Relay | Batches


def choose_path(flow: Flow, source: NativeSource | None, session: LoadSession) -> Path:
    """Choose the faster path that gives the same result; by capabilities, never by names of connectors."""
    if flow.processors:
        return Batches(f"processor {flow.processors[0].component.manifest.name} looks at the rows")
    if source is None:
        return Batches("the extractor offers rows only")
    if not isinstance(session, NativeLoadSession):
        return Batches("the loader takes rows only")
    if flow.load.cursor and flow.load.write == "append":
        return Batches("append with a cursor compares the rows at the saved position")
    accepted = session.accept(source)
    return Batches(accepted) if isinstance(accepted, str) else Relay(source, session, accepted)
