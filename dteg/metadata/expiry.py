"""Alerts on caches that grow old: told when one is about to expire, when it has, and when it no longer is."""

from collections.abc import Callable

from dteg.alerts import Kind, Occurrence, Severity, State, report
from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.metadata.models import CacheManifest
from dteg.metadata.quality import expiry
from dteg.metadata.reports import Alert
from dteg.metadata.service import Metadata

Tell = Callable[[Project, Occurrence], object]


class ExpiryWatch:
    """Looks at all caches of a project, and tells what has changed since it last looked.

    Args:
        metadata: The caches.
        tell: Who is told.
    """

    def __init__(self, metadata: Metadata, tell: Tell = report) -> None:
        self._metadata, self._tell = metadata, tell
        self._told: dict[str, str] = {}

    def look(self) -> list[Occurrence]:
        """Look once; what cannot be read is not old, and others tell of it.

        Returns:
            What was told.
        """
        found = []
        for source in self._metadata.sources():
            try:
                manifest = self._metadata.manifest(source)
            except DtegError:
                continue
            alert = expiry(manifest, self._metadata.now())
            before = self._told.get(source, "")
            self._told[source] = alert.name if alert else ""
            if before != self._told[source]:
                found.append(freshness(source, manifest, alert))
        for occurrence in found:
            self._tell(self._metadata.project, occurrence)
        return found


def freshness(source: str, manifest: CacheManifest, alert: Alert | None) -> Occurrence:
    """Return what the age of a cache tells: with an alert that it is (nearly) too old, without that it is not."""
    severity = Severity.ERROR if alert and alert.name == "expired" else Severity.WARNING
    return Occurrence(
        kind=Kind.FRESHNESS,
        subject=f"metadata {source}",
        message=f"the metadata cache of {source}: {alert.message}" if alert else f"the metadata cache of {source} is fresh",
        state=State.FIRING if alert else State.RESOLVED,
        severity=severity if alert else Severity.INFO,
        details={
            "source": source, "cache_version": manifest.cache_version,
            "generated_at": manifest.generated_at.isoformat(),
            "expires_at": manifest.expires_at.isoformat() if manifest.expires_at else None,
        },
        dedupe_key=f"metadata:{source}:freshness",
    )  # fmt: skip
