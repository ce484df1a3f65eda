"""Sources: other databases and files, linked so that the warehouse can read their tables."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Self

import psycopg

from dteg.core.control import session
from dteg.core.errors import (
    ConflictError,
    DtegError,
    NotFoundError,
    TransientError,
    UnavailableError,
)
from dteg.core.liveness import WatchedConnection
from dteg.core.postgres import connect, translate, translated
from dteg.core.project import Project
from dteg.core.queries import first_value
from dteg.core.suggest import did_you_mean
from dteg.sources import store
from dteg.sources.definitions import Definitions
from dteg.sources.drift import drift
from dteg.sources.kinds import Link, Linker, kind_of
from dteg.sources.linking import Linking
from dteg.sources.models import (
    DEFAULT_ROWS,
    WAREHOUSE,
    LinkReport,
    Mode,
    NewSource,
    Probe,
    Progress,
    RowPage,
    Source,
    SourceTable,
    State,
    TableDrift,
)
from dteg.sources.reaching import Reaching, is_unreachable, plain_failure
from dteg.sources.relations import users
from dteg.sources.restaging import copy_again
from dteg.sources.roles import ensure_roles

DOMAIN = "sources"


class Sources:
    """The sources of one project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._definitions = Definitions(project)
        self._reaching = Reaching(project)
        self._linking = Linking(project, self._reaching)

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    # --- adding and removing -----------------------------------------------------------------------

    def add(
        self, new: NewSource, *, replace: bool = False, on_progress: Progress | None = None
    ) -> LinkReport:
        """Add a source and link its tables; on an error nothing is left of a new one.

        Args:
            new: What it is. With `replace`, an empty URL keeps the one that is known.
            replace: Change the source of this name instead of refusing.
            on_progress: Is told of each step.

        Raises:
            ConfigError: The URL or an option is wrong.
            ConflictError: There is one of that name, or it is of another kind.
            TransientError: It does not answer.
            PermanentError: It refuses us.
            EnvironmentProblemError: The warehouse lacks what is needed.
        """
        known = self._known(new.slug)
        if known and not replace:
            raise ConflictError(
                f"there is a source {new.slug} already; change it with --replace, or choose another name"
            )
        link, source, secrets = self._definitions.read(new, known)
        if known and (known.kind, known.mode) != (source.kind, source.mode):
            raise ConflictError(
                f"source {new.slug} is {known.kind} and {known.mode}; remove it before it becomes {source.kind} and"
                f" {source.mode}"
            )
        linker = self._linker(source)
        probe = linker.probe(link)
        if not probe.ok:
            raise TransientError(f"source {new.slug} does not answer: {probe.message}", component=DOMAIN)
        with session(self.project, DOMAIN) as connection, store.working(connection, new.slug):
            self._definitions.save(connection, source, secrets)
            try:
                return self._link(link, source, linker, on_progress)
            except BaseException:
                if known is None:
                    with contextlib.suppress(DtegError, psycopg.Error):
                        self._linking.unlink(connection, link, linker)
                        store.delete(connection, new.slug)
                raise

    def refresh(self, slug: str, *, on_progress: Progress | None = None) -> LinkReport:
        """Look at the source again, link what has changed, and say what that was.

        Raises:
            NotFoundError: There is no such source.
            UnavailableError: It failed several times, and the next attempt is not due.
            TransientError: It does not answer.
        """
        source = self.get(slug)
        if source.mode is Mode.LOCAL:
            return LinkReport(source=source, linked=len(self.tables(slug)))
        self.probe(slug, must=True)
        with session(self.project, DOMAIN) as connection, store.working(connection, slug):
            link = self._definitions.link(connection, source)
            report = self._link(link, source, self._linker(source), on_progress)
        if report.drift:
            from dteg.datasets.service import Datasets  # which knows sources, and not the other way round

            Datasets.of(self.project).recheck(source=slug)
        return report

    def drift(self, slug: str) -> list[TableDrift]:
        """Compare the source with what was last found there; nothing is changed.

        Raises:
            NotFoundError: There is no such source.
            TransientError: It does not answer.
        """
        source = self.get(slug)
        if source.mode is Mode.LOCAL:
            return []
        self.probe(slug, must=True)
        with session(self.project, DOMAIN) as connection:
            link = self._reaching.routed(self._definitions.link(connection, source), connection)
            found = self._linking.looked_at(link, self._linker(source))
            return drift(store.tables(connection, slug), found, users(connection, slug, link.schema))

    def remove(self, slug: str) -> None:
        """Forget a source, and drop what was made for it in the warehouse; the source itself is left alone.

        Raises:
            NotFoundError: There is no such source.
            ConflictError: Datasets use it.
        """
        source = self.get(slug)
        if source.mode is Mode.LOCAL:
            raise ConflictError(f"{WAREHOUSE} is always there")
        with session(self.project, DOMAIN) as connection, store.working(connection, slug):
            used = users(connection, slug, f"src_{slug}")
            if names := sorted({name for each in used.values() for name in each}):
                raise ConflictError(f"source {slug} is used by {_listed(names)}; remove these first")
            link = self._definitions.link(connection, source, secret=False)
            self._linking.unlink(connection, link, self._linker(source))
            store.delete(connection, slug)

    def relink_all(self) -> dict[str, str]:
        """Give the foreign servers their passwords back, as after a restore: a backup holds none.

        Returns:
            What is wrong by source; empty if all is well.
        """
        problems = {}
        for source in self.sources():
            if source.mode is Mode.LOCAL:
                continue
            try:
                with session(self.project, DOMAIN) as connection, store.working(connection, source.slug):
                    ensure_roles(connection)
                    link = self._definitions.link(connection, source)
                    self._linking.renew_access(connection, link, self._linker(source))
            except DtegError as error:
                problems[source.slug] = str(error)
        return problems

    # --- looking -----------------------------------------------------------------------------------

    def sources(self) -> list[Source]:
        """Return the warehouse and all sources by name."""
        from dteg.sources.warehouse import warehouse_source

        with session(self.project, DOMAIN) as connection:
            return [warehouse_source(connection), *store.sources(connection)]

    def get(self, slug: str) -> Source:
        """Return one source.

        Raises:
            NotFoundError: There is none of that name; with the near miss.
        """
        found = self._known(slug)
        if found is None:
            names = [source.slug for source in self.sources()]
            near = did_you_mean(slug, names) or f"there are: {', '.join(names)}"
            raise NotFoundError(f"there is no source {slug!r}; {near}")
        return found

    def tables(self, slug: str) -> list[SourceTable]:
        """Return the tables of a source as they were last found; those of the warehouse as they are.

        Raises:
            NotFoundError: There is no such source.
        """
        from dteg.sources.warehouse import warehouse_tables

        if slug != WAREHOUSE:
            self.get(slug)
        with session(self.project, DOMAIN) as connection:
            return warehouse_tables(connection) if slug == WAREHOUSE else store.tables(connection, slug)

    def table(self, slug: str, name: str) -> SourceTable:
        """Return one table.

        Args:
            slug: The source.
            name: `schema.table`, or `table` if no other one has that name.

        Raises:
            NotFoundError: There is none, or there are several; with their names.
        """
        found = self.tables(slug)
        same = [table for table in found if table.full_name == name] or [
            table for table in found if table.name == name
        ]
        if len(same) == 1:
            return same[0]
        names = [table.full_name for table in same or found]
        if same:
            raise NotFoundError(f"{slug} has several tables {name!r}: {_listed(names)}")
        raise NotFoundError(
            f"{slug} has no table {name!r}; {did_you_mean(name, names) or 'look at: dteg source tables'}"
        )

    def rows(self, slug: str, table: str, limit: int = DEFAULT_ROWS, offset: int = 0) -> RowPage:
        """Return rows of a table, read where they are.

        Args:
            slug: The source.
            table: `schema.table` or `table`.
            limit: Rows at the most, up to 1000.
            offset: Rows to pass over.

        Raises:
            NotFoundError: There is no such table.
            UnavailableError: The source failed several times, and the next attempt is not due.
            TransientError: It does not answer in time.
        """
        from dteg.sources.browsing import ROWS_DEADLINE_S, read_page

        found = self.table(slug, table)
        read = partial(read_page, table=found, limit=limit, offset=offset)
        with self.link_deadline(slug, ROWS_DEADLINE_S) as settings, self._fresh() as connection:
            try:
                return read(connection, settings=settings)
            except psycopg.Error as error:
                if slug == WAREHOUSE or not is_unreachable(error):
                    raise
                message = f"source {slug} did not answer: {plain_failure(translate(error, DOMAIN))}"
                self._failed(slug, message)
                raise TransientError(message, component=DOMAIN) from None

    # --- reaching ----------------------------------------------------------------------------------

    def test(self, source: NewSource | str) -> Probe:
        """Ask a source whether it answers, whatever its breaker says.

        Args:
            source: The name of a source, or one that is not added yet.

        Raises:
            NotFoundError: There is none of that name.
            ConfigError: The URL or an option is wrong.
        """
        if isinstance(source, NewSource):
            link, described, _ = self._definitions.read(source, self._known(source.slug))
            return self._linker(described).probe(link)
        known = self.get(source)
        if known.mode is Mode.LOCAL:
            return self._probe_warehouse()
        with session(self.project, DOMAIN) as connection:
            link = self._definitions.link(connection, known)
            probe = self._linker(known).probe(link)
            if probe.ok:
                store.succeeded(connection, source)
            else:
                store.failed(connection, source, probe.message)
        return probe

    def probe(self, slug: str, *, must: bool = False) -> Probe:
        """Ask a source whether it answers, unless it has failed too often just now.

        Args:
            slug: The source.
            must: Raise if it does not answer.

        Raises:
            UnavailableError: It failed several times, and the next attempt is not due.
            TransientError: It does not answer, and `must` was given.
        """
        self._require_closed([self.get(slug)])
        probe = self.test(slug)
        if must and not probe.ok:
            raise TransientError(f"source {slug} does not answer: {probe.message}", component=DOMAIN)
        return probe

    @contextlib.contextmanager
    def link_deadline(self, slug: str, deadline_s: float) -> Iterator[dict[str, str]]:
        """Like `link_deadlines`, for one source."""
        with self.link_deadlines([slug], deadline_s) as settings:
            yield settings

    @contextlib.contextmanager
    def link_deadlines(self, slugs: Sequence[str], deadline_s: float) -> Iterator[dict[str, str]]:
        """Have sources reachable for a block, and end what hangs in it once `deadline_s` have passed.

        The session in the block sets `statement_timeout` to the deadline; the relay breaks what cannot be cancelled.

        Args:
            slugs: The sources whose tables are read.
            deadline_s: How long the block may take.

        Yields:
            Settings that the session needs, to be set by SET LOCAL.

        Raises:
            NotFoundError: One is no source.
            UnavailableError: One failed several times, and the next attempt is not due.
        """
        wanted = [source for source in map(self.get, dict.fromkeys(slugs)) if source.mode is not Mode.LOCAL]
        self._require_closed(wanted)
        with session(self.project, DOMAIN) as connection:
            ensure_roles(connection)
            settings = store.session_settings(connection, [source.slug for source in wanted])
            relayed = [source for source in wanted if source.relayed]
            for source in relayed:
                self._reaching.open(connection, self._definitions.link(connection, source))
        with self._reaching.deadline([source.slug for source in relayed], deadline_s):
            yield settings

    def restage(self, slug: str, tables: Sequence[str], *, deadline_s: float) -> list[str]:
        """Copy those of some tables anew whose copy is older than `max_stage_age`; nothing for sources that are not copied.

        Args:
            slug: The source.
            tables: Full names.
            deadline_s: How long it may take.

        Returns:
            The names of the tables that were copied.

        Raises:
            DtegError: One cannot be copied; its last copy is still there.
        """
        source = self.get(slug)
        if source.mode is not Mode.STAGED:
            return []
        self._require_closed([source])
        found = [self.table(slug, name) for name in tables]
        return copy_again(self.project, self._definitions, source, found, deadline_s)

    # --- inside ------------------------------------------------------------------------------------

    def _known(self, slug: str) -> Source | None:
        from dteg.sources.warehouse import warehouse_source

        with session(self.project, DOMAIN) as connection:
            if slug == WAREHOUSE:
                return warehouse_source(connection)
            found = store.sources(connection, slug) if slug else []
        return found[0] if found else None

    def _linker(self, source: Source) -> Linker:
        return kind_of(source.kind).linker(source.mode)

    def _link(self, link: Link, source: Source, linker: Linker, on_progress: Progress | None) -> LinkReport:
        began = time.monotonic()
        with session(self.project, DOMAIN) as connection, translated(DOMAIN):
            before = store.tables(connection, source.slug)
            try:
                result = self._linking.link(connection, link, linker, on_progress or _silent)
            except DtegError as error:
                store.failed(connection, source.slug, str(error))
                raise
            changes = (
                drift(before, result.tables, users(connection, source.slug, link.schema)) if before else []
            )
            store.save_tables(
                connection, source.slug, result.tables, relayed=result.relayed, settings=result.settings
            )
            store.succeeded(connection, source.slug)
        return LinkReport(
            source=self.get(source.slug), linked=sum(table.linked for table in result.tables),
            problems=result.problems, drift=changes, seconds=round(time.monotonic() - began, 3),
        )  # fmt: skip

    def _require_closed(self, sources: Sequence[Source]) -> None:
        for source in sources:
            if source.state is State.OPEN and source.breaker_until is not None:
                left_s = max(1.0, (source.breaker_until - datetime.now(UTC)).total_seconds())
                raise UnavailableError(
                    f"source {source.slug} failed {source.failures} times, the next attempt is in {left_s:.0f} s; it"
                    f" said: {source.last_error}", retry_after_s=left_s,
                )  # fmt: skip

    def _failed(self, slug: str, message: str) -> None:
        with session(self.project, DOMAIN) as connection:
            store.failed(connection, slug, message)

    def _probe_warehouse(self) -> Probe:
        began = time.monotonic()
        with session(self.project) as connection:
            version = first_value(connection, "SELECT current_setting('server_version')").split(" ")[0]
        return Probe(ok=True, ms=round((time.monotonic() - began) * 1000), server=f"PostgreSQL {version}")

    @contextlib.contextmanager
    def _fresh(self) -> Iterator[WatchedConnection]:
        """Connect to the warehouse anew: a connection to a source dies with the session that opened it."""
        with translated(DOMAIN), connect(self.project.warehouse_url(), component=DOMAIN) as connection:
            yield connection


def _silent(what: str, done: int, of: int) -> None:
    """Tell nobody."""


def _listed(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
