"""What a run tells while it works: the progress bars of the command line and Dagster's log both listen here."""

from dteg.core.errors import TransientError
from dteg.pipelines.results import StreamResult, TransformResult


class Listener:
    """Hears of everything and does nothing; override what is of interest."""

    def stream_started(self, stream: str, target: str) -> None:
        """A stream begins."""

    def batch_loaded(self, stream: str, rows: int, num_bytes: int) -> None:
        """Some more rows are on their way into the target."""

    def bytes_relayed(self, stream: str, num_bytes: int) -> None:
        """Some more bytes, whose rows nobody counts, are on their way into the target."""

    def retrying(self, stream: str, attempt: int, delay_s: float, error: TransientError) -> None:
        """An attempt failed and will be repeated after `delay_s`."""

    def stream_finished(self, result: StreamResult) -> None:
        """A stream is published and checked."""

    def transform_started(self, name: str) -> None:
        """A transform begins."""

    def transform_finished(self, result: TransformResult) -> None:
        """A transform is done."""
