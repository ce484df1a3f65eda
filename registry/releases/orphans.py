"""Files that belong to no release: what publishes that were refused or cut off have left."""

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from registry.blobs.incoming import drop_old_parts
from registry.releases.store import ReleaseStore

if TYPE_CHECKING:
    from registry.services import Services


async def sweep_orphans(services: "Services", store: ReleaseStore, *, before: datetime) -> int:
    """Delete orphans that were stored before a moment; return how many.

    A file is taken away first and deleted only if still nobody wants it. Who publishes the same content at the
    same moment claims it and then looks whether it is there: one of the two sees the other.
    """
    await asyncio.to_thread(drop_old_parts, services.settings.data_dir / "uploads")
    blobs, swept = services.blobs, 0
    async for blob in blobs.all():
        if blob.modified > before or await store.wanted(blob.sha256):
            continue
        if not await blobs.set_aside(blob.sha256):
            continue
        if await store.wanted(blob.sha256):
            await blobs.bring_back(blob.sha256)
            continue
        await blobs.discard(blob.sha256)
        swept += 1
    return swept
