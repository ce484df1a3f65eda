"""Alerts of a studio, over HTTP: the same methods as `Alerts`."""

from dteg.alerts.models import Delivery, Matter, Overview, Sent
from dteg.studio_client import StudioClient

_PATH = "/alerts"


class RemoteAlerts:
    """See `dteg.alerts.service.Alerts`.

    Args:
        client: Of the studio.
    """

    def __init__(self, client: StudioClient) -> None:
        self._client = client

    def overview(self) -> Overview:
        """Return what the files say and what is wrong in them."""
        return Overview.model_validate(self._client.get(f"{_PATH}/rules"))

    def deliver(self) -> Sent | None:
        """Send what is due; None if another process is at it."""
        sent = self._client.post(f"{_PATH}/deliver")["sent"]
        return None if sent is None else Sent.model_validate(sent)

    def test(self, channel: str) -> None:
        """Send a test message to a channel."""
        self._client.post(f"{_PATH}/test", {"channel": channel})

    def open(self, limit: int = 100) -> list[Matter]:
        """Return what is going on, oldest first."""
        found = self._client.get(f"{_PATH}/matters", limit=limit)
        return [Matter.model_validate(each) for each in found["items"]]

    def acknowledge(self, rule: str, matter: str, by: str) -> None:
        """Say that somebody takes care; the studio writes down who asks, whatever `by` says."""
        self._client.post(f"{_PATH}/acknowledge", {"rule": rule, "matter": matter})

    def log(self, limit: int = 100, before: int | None = None) -> list[Delivery]:
        """Return messages, newest first."""
        found = self._client.get(f"{_PATH}/log", limit=limit, before=before)
        return [Delivery.model_validate(each) for each in found["items"]]
