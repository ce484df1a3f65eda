"""All services of one registry; each is made when first asked for and reaches the others through here.

A concept is a folder: `models.py` what is stored, `store.py` the only code that touches its collection, `service.py`
the rules, `routes.py` HTTP. To add one, add a property here and its router in `app.py`.
"""

from __future__ import annotations

import asyncio
import logging
from functools import cached_property
from typing import TYPE_CHECKING

from fastapi import Request
from pymongo.errors import PyMongoError

from dteg.core.clock import Clock, utc_now
from dteg.core.errors import DtegError, UnavailableError
from registry.database import Database
from registry.migrations import migrate
from registry.service import Service
from registry.turns import turn

if TYPE_CHECKING:
    from registry.accounts.service import Accounts
    from registry.attestations.service import Attestations
    from registry.audit.service import Audit
    from registry.blobs.store import BlobStore
    from registry.components.service import Components
    from registry.discussions.service import Discussions
    from registry.downloads.service import Downloads
    from registry.gates.service import Gates
    from registry.health.service import Health
    from registry.index.service import Index
    from registry.jobs.service import Jobs
    from registry.licences.service import Licences
    from registry.namespaces.service import Namespaces
    from registry.rate_limits.service import RateLimits
    from registry.releases.service import Releases
    from registry.reports.service import Reports
    from registry.reviews.service import Reviews
    from registry.search.service import Search
    from registry.settings import RegistrySettings
    from registry.tokens.service import Tokens
    from registry.webhooks.service import Webhooks

_LOG = logging.getLogger(__name__)
_PREPARE_AGAIN_S = 1.0
# How long one process waits for another one that starts.
_START_PATIENCE_S = 120.0
_ORDER = (
    "audit", "accounts", "tokens", "namespaces", "rate_limits", "jobs", "health", "attestations", "components",
    "releases", "gates", "reviews", "downloads", "discussions", "licences", "reports", "webhooks", "search", "index",
)  # fmt: skip


def services_of(request: Request) -> Services:
    """Return the services of the app that handles a request."""
    services: Services = request.app.state.services
    return services


class Services:
    """The services of one process.

    Args:
        settings: What the registry was told.
        clock: Where the time comes from.
    """

    def __init__(self, settings: RegistrySettings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self.database = Database(settings.mongodb_url.reveal(), settings.database)
        self._prepared = False
        self._preparing: asyncio.Task[None] | None = None

    @cached_property
    def accounts(self) -> Accounts:
        """People and their passwords."""
        from registry.accounts.service import Accounts

        return Accounts(self)

    @cached_property
    def attestations(self) -> Attestations:
        """Signing keys, attestations and the public log."""
        from registry.attestations.service import Attestations

        return Attestations(self)

    @cached_property
    def audit(self) -> Audit:
        """Who did what, as a chain of hashes."""
        from registry.audit.service import Audit

        return Audit(self)

    @cached_property
    def blobs(self) -> BlobStore:
        """Files by the hash of their content."""
        from registry.blobs.store import open_blob_store

        return open_blob_store(self.settings)

    @cached_property
    def components(self) -> Components:
        """What is listed, with its newest release and score."""
        from registry.components.service import Components

        return Components(self)

    @cached_property
    def discussions(self) -> Discussions:
        """The forum of each component."""
        from registry.discussions.service import Discussions

        return Discussions(self)

    @cached_property
    def downloads(self) -> Downloads:
        """Downloads and installs, counted."""
        from registry.downloads.service import Downloads

        return Downloads(self)

    @cached_property
    def gates(self) -> Gates:
        """Proof before listing."""
        from registry.gates.service import Gates

        return Gates(self)

    @cached_property
    def health(self) -> Health:
        """Whether this process can work, and what it has counted."""
        from registry.health.service import Health

        return Health(self)

    @cached_property
    def index(self) -> Index:
        """What pip and uv see."""
        from registry.index.service import Index

        return Index(self)

    @cached_property
    def jobs(self) -> Jobs:
        """Work for later, with leases."""
        from registry.jobs.service import Jobs

        return Jobs(self)

    @cached_property
    def licences(self) -> Licences:
        """Paid components: licences, metered use, invoices."""
        from registry.licences.service import Licences

        return Licences(self)

    @cached_property
    def namespaces(self) -> Namespaces:
        """Who may publish where."""
        from registry.namespaces.service import Namespaces

        return Namespaces(self)

    @cached_property
    def rate_limits(self) -> RateLimits:
        """How often one may ask."""
        from registry.rate_limits.service import RateLimits

        return RateLimits(self)

    @cached_property
    def releases(self) -> Releases:
        """Versions and their states."""
        from registry.releases.service import Releases

        return Releases(self)

    @cached_property
    def reports(self) -> Reports:
        """Abuse reports and moderation."""
        from registry.reports.service import Reports

        return Reports(self)

    @cached_property
    def reviews(self) -> Reviews:
        """Stars and words of people who installed it."""
        from registry.reviews.service import Reviews

        return Reviews(self)

    @cached_property
    def search(self) -> Search:
        """Finding components."""
        from registry.search.service import Search

        return Search(self)

    @cached_property
    def tokens(self) -> Tokens:
        """Credentials of programs and people."""
        from registry.tokens.service import Tokens

        return Tokens(self)

    @cached_property
    def webhooks(self) -> Webhooks:
        """Events sent to others."""
        from registry.webhooks.service import Webhooks

        return Webhooks(self)

    def all(self) -> list[Service]:
        """Return every service, in the order in which they start."""
        return [getattr(self, name) for name in _ORDER]

    @property
    def prepared(self) -> bool:
        """Whether the indexes that guard uniqueness are there: before, nothing may be written."""
        return self._prepared

    async def open(self) -> None:
        """Create indexes and start what runs in the background.

        With the database down it starts all the same: files, index and search then answer from what this process
        has, writes are refused with 503, and preparing goes on until it succeeds.

        Raises:
            ConfigError: The database was written by a newer version.
        """
        services = self.all()
        try:
            await self.prepare()
        except UnavailableError as error:
            _LOG.warning("%s; starting without it", error)
            self._preparing = asyncio.create_task(self._prepare_until_done())
        # One process reads index and search from the database; the others of this machine find them in `data_dir`.
        async with turn(self.settings.data_dir / "start.lock", _START_PATIENCE_S):
            for service in services:
                await service.start()

    async def close(self) -> None:
        """Stop the services, the last first, and close connections."""
        if self._preparing is not None:
            self._preparing.cancel()
        for service in reversed(self.all()):
            try:
                await service.stop()
            except (PyMongoError, DtegError) as error:  # the others still have to stop
                _LOG.warning("%s did not stop well: %s", type(service).__name__, type(error).__name__)
        await self.database.close()

    async def prepare(self) -> None:
        """Create indexes and change what older versions stored. Safe to call by several processes at once.

        Raises:
            ConfigError: The database was written by a newer version.
            UnavailableError: The database does not answer.
        """
        await migrate(self.database, self.clock)
        for service in self.all():
            await self.database.prepare(service.INDEXES)
        self._prepared = True

    async def _prepare_until_done(self) -> None:
        while not self._prepared:
            await asyncio.sleep(_PREPARE_AGAIN_S)
            try:
                await self.prepare()
            except (UnavailableError, PyMongoError):
                continue
            except DtegError as error:
                _LOG.error("%s", error)
                return
            _LOG.warning("the database answers again")
