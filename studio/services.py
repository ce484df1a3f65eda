"""The services of one studio: those of each domain, made when first asked for.

A domain is a folder of `dteg` with its rules and a folder here with `routes.py` (HTTP), `pages.py` (for browsers) and,
if it has work beside the requests, `worker.py`. To add one, add a property here and its name to `GROUPS` in `app.py`.
"""

from __future__ import annotations

import threading
from functools import cached_property
from typing import TYPE_CHECKING

from dteg.core.project import Project
from studio.settings import StudioSettings

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection

    from dteg.alerts.service import Alerts
    from dteg.backups.service import Backups
    from dteg.charts.service import Charts
    from dteg.cron.service import CronJobs
    from dteg.dashboards.service import Dashboards
    from dteg.datasets.service import Datasets
    from dteg.dictionaries.service import Dictionaries
    from dteg.schema_changes.service import SchemaChanges
    from dteg.snapshots.service import Snapshots
    from dteg.sources.service import Sources
    from dteg.tables.service import Tables
    from dteg.tokens.service import Tokens
    from dteg.topics.service import Topics
    from studio.background import Worker
    from studio.credentials import Credentials
    from studio.metadata.askers import Askers


def services_of(connection: HTTPConnection) -> Services:
    """Return the services of the app that handles a request."""
    services: Services = connection.app.state.services
    return services


class Services:
    """What the routes and pages of one studio call.

    Args:
        project: What it is about.
        settings: What the studio was told.
    """

    def __init__(self, project: Project, settings: StudioSettings | None = None) -> None:
        self.project = project
        self.settings = settings or StudioSettings()
        # Set when the server begins to stop: whoever streams or waits comes to an end.
        self.stopping = threading.Event()
        self.background: list[Worker] = []

    def close(self) -> None:
        """Give back what the services that were used keep open."""
        for service in list(vars(self).values()):
            if service is not self.project and callable(close := getattr(service, "close", None)):
                close()

    @cached_property
    def tokens(self) -> Tokens:
        """Credentials, as they are kept."""
        from dteg.tokens.service import Tokens

        return Tokens.of(self.project)

    @cached_property
    def credentials(self) -> Credentials:
        """Who stands behind a request."""
        from studio.credentials import Credentials

        return Credentials(self.project, self.settings, self.tokens)

    @cached_property
    def tables(self) -> Tables:
        """Tables of the warehouse."""
        from dteg.tables.service import Tables

        return Tables.of(self.project)

    @cached_property
    def sources(self) -> Sources:
        """Other databases and files."""
        from dteg.sources.service import Sources

        return Sources.of(self.project)

    @cached_property
    def dictionaries(self) -> Dictionaries:
        """Tables that datasets look values up in."""
        from dteg.dictionaries.service import Dictionaries

        return Dictionaries.of(self.project)

    @cached_property
    def datasets(self) -> Datasets:
        """Rows of several databases, put together."""
        from dteg.datasets.service import Datasets

        return Datasets.of(self.project)

    @cached_property
    def snapshots(self) -> Snapshots:
        """What is remembered of datasets, and expected of them."""
        from dteg.snapshots.service import Snapshots

        return Snapshots.of(self.project)

    @cached_property
    def dashboards(self) -> Dashboards:
        """Charts on a page."""
        from dteg.dashboards.service import Dashboards

        return Dashboards.of(self.project)

    @cached_property
    def charts(self) -> Charts:
        """Charts of datasets, and areas of maps."""
        from dteg.charts.service import Charts

        return Charts.of(self.project)

    @cached_property
    def backups(self) -> Backups:
        """Backups of databases."""
        from dteg.backups.service import Backups

        return Backups.of(self.project)

    @cached_property
    def schema_changes(self) -> SchemaChanges:
        """What changed in the form of tables."""
        from dteg.schema_changes.service import SchemaChanges

        return SchemaChanges.of(self.project)

    @cached_property
    def topics(self) -> Topics:
        """Messages."""
        from dteg.topics.service import Topics

        return Topics.of(self.project)

    @cached_property
    def cron(self) -> CronJobs:
        """Jobs that run by the clock."""
        from dteg.cron.service import CronJobs

        return CronJobs.of(self.project)

    @cached_property
    def alerts(self) -> Alerts:
        """Who is told of what."""
        from dteg.alerts.service import Alerts

        return Alerts.of(self.project)

    @cached_property
    def askers(self) -> Askers:
        """Who answers questions in words."""
        from studio.metadata.askers import Askers

        return Askers(self.project)
