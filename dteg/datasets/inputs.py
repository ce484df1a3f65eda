"""What a refresh reads: asked whether it answers, copied where that is due, and held to a deadline."""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property

from dteg.core.errors import TransientError
from dteg.core.project import Project
from dteg.datasets import store
from dteg.datasets.models import Dependency
from dteg.sources.models import Mode, Source


class Inputs:
    """The sources, dictionaries and datasets that a dataset reads.

    Args:
        project: Whose.
        depends_on: What the compiler found.
    """

    def __init__(self, project: Project, depends_on: Sequence[Dependency]) -> None:
        self._project = project
        self._depends_on = depends_on

    @cached_property
    def sources(self) -> list[Source]:
        """The sources, each once."""
        from dteg.sources.service import Sources

        slugs = dict.fromkeys(each.source for each in self._depends_on if each.source)
        return [Sources.of(self._project).get(slug) for slug in slugs]

    def probe(self) -> None:
        """Ask each source that is read where it is whether it answers, before anything is begun.

        Raises:
            TransientError: One does not.
            UnavailableError: One has failed so often that it is not asked now.
        """
        from dteg.sources.service import Sources

        for source in self.sources:
            if source.mode is Mode.FDW:
                probe = Sources.of(self._project).probe(source.slug)
                if not probe.ok:
                    raise TransientError(
                        f"source {source.slug} does not answer: {probe.message}", component="datasets"
                    )

    def stage(self, deadline_s: float) -> None:
        """Copy anew what is copied and older than it may be.

        Args:
            deadline_s: How long that may take (s).

        Raises:
            DtegError: It cannot be copied.
        """
        from dteg.sources.service import Sources

        tables: dict[str, list[str]] = {}
        for each in self._depends_on:
            if each.source:
                tables.setdefault(each.source, []).append(each.name.split("/", 1)[1])
        for source in self.sources:
            if source.mode is Mode.STAGED:
                Sources.of(self._project).restage(source.slug, tables[source.slug], deadline_s=deadline_s)

    @contextlib.contextmanager
    def deadline(self, seconds: float) -> Iterator[Mapping[str, str]]:
        """Break what hangs at a source after so many seconds.

        Returns:
            Settings that a session must have which reads the sources.
        """
        from dteg.sources.service import Sources

        slugs = [source.slug for source in self.sources]
        if not slugs:
            yield {}
            return
        with Sources.of(self._project).link_deadlines(slugs, seconds) as settings:
            yield settings

    def data_as_of(self, connection: store.Connection, read_at: datetime) -> datetime:
        """Return how old the oldest of what was read is.

        Args:
            connection: To the warehouse.
            read_at: When everything was read that is not a copy.
        """
        from dteg.sources.service import Sources

        ages = [read_at]
        names = [each.name for each in self._depends_on if each.kind == "dataset"]
        if names and (oldest := store.first(connection, "data_as_of", names=names)):
            ages.append(oldest)
        staged = {source.slug for source in self.sources if source.mode is Mode.STAGED}
        for each in self._depends_on:
            if each.source in staged:
                table = Sources.of(self._project).table(each.source, each.name.split("/", 1)[1])
                if table.staged_at:
                    ages.append(table.staged_at)
        return min(ages)
