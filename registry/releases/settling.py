"""What follows a change of a release's state: the public log, its component and the webhooks hear of it, once each."""

from typing import TYPE_CHECKING, Any

from registry.attestations.models import LogEntry
from registry.identifiers import id_of
from registry.releases.models import UNPROVEN, Release, State
from registry.releases.store import ReleaseStore

if TYPE_CHECKING:
    from registry.services import Services

# Of which changes webhooks tell.
_TOLD = frozenset({State.LISTED, State.REJECTED, State.YANKED, State.QUARANTINED})
# A release that comes into one of these was not listed before, so its component stays what it is: see `MOVES`.
_UNSEEN = UNPROVEN | {State.REJECTED}


async def settle(services: "Services", store: ReleaseStore, release: Release, **more: Any) -> None:
    """Let everybody hear of the last change of a release, and only then note that they did.

    May be done again, or by another process: the entry of the log has the change as its key, and the event the entry.
    What a crash cuts off is therefore done by `Releases.reconcile`, and nothing is told twice.

    Args:
        services: The others.
        store: Where releases are.
        release: As it was after the change.
        more: Further fields of its component to set.
    """
    entry = await services.attestations.log(release)
    if more or release.state not in _UNSEEN:
        await services.components.refresh(release.component, **more)
    await _tell(services, release, entry)
    await store.settle(release)


async def _tell(services: "Services", release: Release, entry: LogEntry) -> None:
    """Send the event to those who asked for it."""
    if release.state not in _TOLD:
        return
    payload = {
        "component": release.component, "version": release.version, "state": release.state.value,
        "reason": release.reason, "sha256": release.sha256,
    }  # fmt: skip
    await services.webhooks.emit(
        f"release.{release.state.value}", release.namespace, payload,
        event_id=id_of(entry.at, entry.seq), at=entry.at,
    )  # fmt: skip
