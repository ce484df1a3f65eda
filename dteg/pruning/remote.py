"""Pruning through a studio."""

from dteg.pruning.models import PruneOrder, PruneReport
from dteg.studio_client import StudioClient


class RemotePruning:
    """Dagster's storage of the project of a studio.

    Args:
        client: The studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def prune(self, order: PruneOrder) -> PruneReport:
        """Remove what is old."""
        return PruneReport.model_validate(self._client.post("/pruning", order.model_dump(mode="json")))
