"""Datasets: rows put together from several databases, kept in the warehouse and read from one stable view.

Refreshing builds a new copy of the rows (a generation) beside the one that is read, checks it, and only then lets
the view `ds.<slug>` show it. Whatever goes wrong on the way, readers go on reading the generation before.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from dteg.core.clock import Clock, utc_now
from dteg.core.control import session
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.datasets.models import (
    VIEW_SCHEMA,
    CheckResult,
    Dataset,
    DatasetColumn,
    Due,
    Generation,
    Origin,
    Removed,
    RowPage,
    RowQuery,
)
from dteg.tokens.visible import EVERYTHING, Visible

if TYPE_CHECKING:
    from dteg.datasets.compiler import Compiled
    from dteg.datasets.preview import JoinSuggestion, Preview
    from dteg.datasets.refreshing.refresh import Refresh
    from dteg.datasets.spec import DatasetSpec, TableRef
    from dteg.tables.models import Use

DOMAIN = "datasets"


class Datasets:
    """The datasets of one project.

    Args:
        project: Whose.
        clock: The time, for what is due and how old rows are.
    """

    def __init__(self, project: Project, clock: Clock = utc_now) -> None:
        self.project = project
        self._clock = clock

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    # Definitions

    def save(
        self,
        spec: "DatasetSpec",
        replace: bool = False,
        origin: Origin = "api",
        who: str = "",
        file: str = "",
        *,
        revision: int | None = None,
        sees: Visible = EVERYTHING,
    ) -> Dataset:
        """Save a definition. Nothing is built by that: `refresh` does it.

        Args:
            spec: The definition.
            replace: Whether there may be a dataset of this name already; its rows stay until the next refresh.
            origin: Where it was made.
            who: Who did it.
            file: Its file, relative to the project, for the origin `file`.
            revision: The revision that was changed, if another one than that shall be kept.
            sees: What that one may see: nobody reads, or takes the place of, what is not for them.

        Raises:
            ConfigError: It does not fit its sources; each problem says where in the definition.
            ConflictError: There is one of this name, it is made from a file and this is none, or it was changed
                meanwhile.
        """
        from dteg.datasets import definitions

        return definitions.save(
            self, spec, replace=replace, origin=origin, who=who, file=file, revision=revision, sees=sees
        )

    def apply(self, path: Path, who: str = "") -> Dataset:
        """Save the definition in a YAML file, new or changed.

        Raises:
            ConfigError: The file is wrong; each problem says its line.
        """
        from dteg.datasets import definitions

        return definitions.apply(self, path, who)

    def validate(self, spec: "DatasetSpec", sees: Visible = EVERYTHING) -> "Compiled":
        """Compile a definition without saving or running anything.

        Raises:
            ConfigError: It does not fit its sources.
        """
        from dteg.datasets.catalogue import LiveCatalogue
        from dteg.datasets.compiler import compile_dataset

        return compile_dataset(spec, LiveCatalogue(self.project, sees))

    def datasets(self, sees: Visible = EVERYTHING) -> list[Dataset]:
        """Return all datasets that may be seen, by name."""
        from dteg.datasets import store

        with session(self.project, DOMAIN) as connection:
            found = store.datasets(connection, self._clock())
        return [each for each in found if sees.allows(each.roles)]

    def get(self, slug: str, sees: Visible = EVERYTHING) -> Dataset:
        """Return one dataset.

        Raises:
            NotFoundError: There is none of this name, or it is not for who looks.
        """
        from dteg.datasets import store

        with session(self.project, DOMAIN) as connection:
            found = store.get(connection, slug, self._clock())
            if not sees.allows(found.roles):
                raise store.unknown(connection, slug)
        return found

    def export(self, slug: str) -> str:
        """Return the definition as YAML; saving that and exporting it again gives the same bytes.

        Raises:
            NotFoundError: There is none of this name.
        """
        from dteg.datasets.files import to_yaml

        return to_yaml(self.get(slug).spec)

    def remove(self, slug: str) -> Removed:
        """Delete a dataset with its rows.

        Raises:
            NotFoundError: There is none of this name.
            ConflictError: Another dataset, a view or a chart reads it, or it is being refreshed.
        """
        from dteg.datasets import definitions

        return definitions.remove(self, slug)

    def uses(self, slug: str) -> "Sequence[Use]":
        """Return what reads a dataset: other datasets, charts, and views that people made.

        Raises:
            NotFoundError: There is none of this name.
        """
        from dteg.datasets import definitions

        return definitions.uses(self, slug)

    def recheck(
        self, *, source: str = "", table: str = "", dictionary: str = "", dataset: str = ""
    ) -> list[Dataset]:
        """Compile again what reads something that changed; mark what no longer fits as broken, and what fits again as not.

        Without arguments all datasets are looked at.

        Args:
            source: Slug of a source.
            table: Only its table, `schema.name` or `name`.
            dictionary: Slug of a dictionary.
            dataset: Slug of a dataset.

        Returns:
            Those that are broken now; `problem` says why.
        """
        from dteg.datasets import definitions

        return definitions.recheck(self, source=source, table=table, dictionary=dictionary, dataset=dataset)

    # Looking before saving

    def preview(self, spec: "DatasetSpec", rows: int = 50, sees: Visible = EVERYTHING) -> "Preview":
        """Return the first rows, the SQL, its plan, and warnings such as joins that multiply rows.

        Raises:
            ConfigError: The definition does not fit its sources.
        """
        from dteg.datasets.preview import preview

        return preview(self.project, spec, rows, sees)

    def suggest_joins(
        self, tables: "Sequence[TableRef]", sees: Visible = EVERYTHING
    ) -> "list[JoinSuggestion]":
        """Return how tables may belong together, best first."""
        from dteg.datasets.preview import suggest_joins

        return suggest_joins(self.project, tables, sees=sees)

    # Rows

    def refresh(self, slug: str, run_id: str = "", *, wait_s: float = 0.0) -> Generation:
        """Build, check and publish: all steps of one refresh.

        Args:
            slug: Which dataset.
            run_id: Names the run; default: a new name.
            wait_s: How long to wait for another refresh of this dataset to end.

        Returns:
            The generation that readers see now.

        Raises:
            ConflictError: It is being refreshed by somebody else.
            QualityGateError: A blocking check failed; the rows are not published.
            DtegError: It failed. In all cases the generation before goes on being read, and the failed one says why.
        """
        with self._refresh(slug, run_id, wait_s) as run:
            generation = run.build()
            run.check(generation.n)
            return run.publish(generation.n)

    def build(self, slug: str, run_id: str = "", *, wait_s: float = 0.0) -> Generation:
        """Build a generation that nobody sees yet; the first step of three.

        Raises:
            DtegError: As for `refresh`.
        """
        with self._refresh(slug, run_id, wait_s) as run:
            return run.build()

    def check(self, slug: str, n: int) -> list[CheckResult]:
        """Run the checks on a generation that was built; the second step. It fails if a blocking one does not pass.

        Returns:
            All results; nothing is raised for a check that fails.

        Raises:
            NotFoundError: There is no such generation.
            ConflictError: Its rows are no longer there.
        """
        with self._refresh(slug) as run:
            return run.results(n)

    def publish(self, slug: str, n: int) -> Generation:
        """Let readers see a generation that was checked; the last step.

        Raises:
            ConflictError: It was not checked or failed its checks, or a newer one is live.
            TransientError: A reader keeps the view from being changed; the message names the session.
        """
        with self._refresh(slug) as run:
            return run.publish(n)

    def start(self, slug: str, run_id: str = "") -> str:
        """Begin a refresh in a process of its own, and return at once.

        Returns:
            The name of the run; `run(name)` says what came of it.

        Raises:
            NotFoundError: There is no such dataset.
            ConflictError: It is being refreshed already.
        """
        from dteg.datasets.refreshing.background import start

        return start(self, slug, run_id)

    def run(self, run_id: str) -> Generation | None:
        """Return the generation that a run made; None while it has not begun one."""
        from dteg.datasets import store

        with session(self.project, DOMAIN) as connection:
            return store.of_run(connection, run_id)

    def rollback(self, slug: str, n: int | None = None) -> Generation:
        """Let readers see an earlier generation again, at once.

        Args:
            slug: Which dataset.
            n: Which generation; default: the one that was live before.

        Raises:
            ConflictError: Its rows are no longer kept.
            NotFoundError: There is no such generation.
        """
        with self._refresh(slug) as run:
            return run.rollback(n)

    def generations(self, slug: str, limit: int = 50) -> list[Generation]:
        """Return the copies of the rows, newest first, failed ones included.

        Raises:
            NotFoundError: There is no such dataset.
        """
        from dteg.datasets import store

        with session(self.project, DOMAIN) as connection:
            store.require(connection, slug)
            return store.generations(connection, slug, limit)

    def generation(self, slug: str, n: int) -> Generation:
        """Return one copy of the rows.

        Raises:
            NotFoundError: There is no such generation.
        """
        from dteg.datasets import store

        with session(self.project, DOMAIN) as connection:
            return store.generation(connection, slug, n)

    def rows(
        self,
        slug: str,
        limit: int = 50,
        offset: int = 0,
        where: str = "",
        order: str = "",
        *,
        columns: Sequence[str] = (),
    ) -> RowPage:
        """Return rows that readers see.

        Args:
            slug: Which dataset.
            limit: Rows at the most, up to 10 000.
            offset: Rows to pass over.
            where: Condition, as for `dteg read --where`.
            order: Column; a minus before it sorts downwards. Default: the key of the cache.
            columns: Which columns; default: all.

        Raises:
            NotFoundError: There is no such dataset.
            ConflictError: It has no rows yet.
            ConfigError: There is no such column, or the condition is none.
        """
        from dteg.datasets.reading import read_page

        query = RowQuery(limit=limit, offset=offset, where=where, order=order, columns=list(columns))
        return read_page(self, slug, query)

    def sql(self, slug: str) -> str:
        """Return the SQL that the definition means now.

        Raises:
            ConfigError: It no longer fits its sources.
        """
        return self.validate(self.get(slug).definition).sql

    def columns(self, slug: str) -> list[DatasetColumn]:
        """Return the columns that readers see; those of the definition before the first refresh."""
        return self.get(slug).seen_columns

    def relation(self, slug: str) -> TableName:
        """Return the stable view, `ds.<slug>`."""
        return TableName(VIEW_SCHEMA, slug)

    # By the clock

    def due(self, now: datetime | None = None) -> list[Due]:
        """Return the refreshes and snapshots whose time has come and that nobody has claimed; of each only the last time."""
        from dteg.datasets import due

        with session(self.project, DOMAIN) as connection:
            return due.due(connection, now or self._clock())

    def claim(self, due: Due, by: str = "") -> bool:
        """Take a time for oneself; False if somebody else has it."""
        from dteg.datasets import due as clock

        with session(self.project, DOMAIN) as connection:
            return clock.claim(connection, due, by)

    def sweep(self) -> int:
        """Drop what refreshes that were killed have left, and say so in their generations; return how many."""
        from dteg.datasets.refreshing import generations

        with session(self.project, DOMAIN) as connection:
            return generations.sweep_all(connection)

    def _refresh(self, slug: str, run_id: str = "", wait_s: float = 0.0) -> "Refresh":
        from dteg.datasets.refreshing.refresh import Refresh

        return Refresh(self.project, slug, run_id=run_id, wait_s=wait_s)
