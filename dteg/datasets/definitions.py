"""Definitions of datasets: saved when they fit their sources, marked when they no longer do, removed when nothing needs them."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dteg.core.control import session
from dteg.core.errors import ConfigError, ConflictError, NotFoundError, PermanentError
from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.datasets import store
from dteg.datasets.files import is_in_folder, load_dataset
from dteg.datasets.models import CACHE_SCHEMA, RESERVED_SLUGS, VIEW_SCHEMA, Dataset, Origin, Removed
from dteg.datasets.refreshing import generations, publishing
from dteg.datasets.visible import hidden
from dteg.tables.models import Use
from dteg.tokens.visible import EVERYTHING, Visible

if TYPE_CHECKING:
    from dteg.datasets.compiler import Compiled
    from dteg.datasets.service import Datasets
    from dteg.datasets.spec import DatasetSpec

DOMAIN = "datasets"
# What a definition may fail by that no second attempt mends.
UNFIT = (ConfigError, NotFoundError, PermanentError)


def save(
    datasets: "Datasets",
    spec: "DatasetSpec",
    *,
    replace: bool,
    origin: Origin,
    who: str,
    file: str,
    revision: int | None = None,
    sees: Visible = EVERYTHING,
) -> Dataset:
    """Save a definition; see `Datasets.save`."""
    from dteg.datasets.spec import dump_spec

    slug = spec.dataset
    if slug in RESERVED_SLUGS:
        raise ConfigError(f"{slug!r} is a word of dteg's own addresses; choose another name for the dataset")
    if slug in hidden(datasets.project, sees):
        raise ConflictError(f"the name {slug!r} is taken; choose another one")
    compiled = datasets.validate(spec, sees)
    values = store.as_json(dump_spec(spec))
    with session(datasets.project, DOMAIN) as connection, connection.transaction():
        _refuse_if_taken(connection, slug, replace=replace, origin=origin)
        if revision is not None and store.first(connection, "revision", slug=slug) != revision:
            raise ConflictError(f"dataset {slug} was changed meanwhile: open it again to see how")
        store.run(
            connection, "save", slug=slug, spec=values, hash=hashlib.sha256(values.encode()).hexdigest(),
            origin=origin, file=file, sql=compiled.sql, columns=store.as_json(compiled.columns), who=who,
        )  # fmt: skip
        _depend(connection, slug, compiled)
    return datasets.get(slug)


def apply(datasets: "Datasets", path: Path, who: str) -> Dataset:
    """Save what a file says; see `Datasets.apply`."""
    from dteg.core.yaml import read
    from dteg.datasets.spec import placed

    spec = load_dataset(path, datasets.project)
    name = datasets.project.display(path)
    own = is_in_folder(path, datasets.project)
    try:
        return save(
            datasets, spec, replace=True, origin="file" if own else "api", who=who, file=name if own else ""
        )
    except ConfigError as error:
        raise placed(error, read(path, name)) from None


def remove(datasets: "Datasets", slug: str) -> Removed:
    """Delete a dataset; see `Datasets.remove`."""
    from dteg.tables.deletion import listed

    if needed := uses(datasets, slug):
        raise ConflictError(f"dataset {slug} is needed; nothing was removed\n{listed(needed)}")
    with session(datasets.project, DOMAIN) as connection:
        if not store.first(connection, "lock", slug=slug):
            raise ConflictError(f"dataset {slug} is being refreshed; remove it when that has ended")
        publishing.unpublish(connection, slug)
        dropped = 0
        for generation in store.generations(connection, slug, 100_000):
            if generations.exists(connection, generations.relation_of(slug, generation.n)):
                if why := generations.drop(connection, slug, generation.n):
                    raise ConflictError(
                        f"generation {generation.n} of dataset {slug} cannot be dropped: {why}"
                    )
                dropped += 1
        generations.sweep(connection, slug)
        store.run(connection, "delete", slug=slug)
    return Removed(slug=slug, generations=dropped)


def uses(datasets: "Datasets", slug: str) -> list[Use]:
    """Return what reads a dataset; see `Datasets.uses`."""
    with session(datasets.project, DOMAIN) as connection:
        store.require(connection, slug)
        return [use for finder in FINDERS for use in finder(datasets.project, connection, slug)]


def recheck(
    datasets: "Datasets", *, source: str = "", table: str = "", dictionary: str = "", dataset: str = ""
) -> list[Dataset]:
    """Compile again what reads something; see `Datasets.recheck`."""
    named = {"source": source, "table": table, "dictionary": dictionary, "dataset": dataset}
    with session(datasets.project, DOMAIN) as connection:
        if any(named.values()):
            rows = store.run(connection, "dependents", **named)
        else:
            rows = store.run(connection, "slugs")
        slugs = [row[0] for row in rows.fetchall()]
    return [found for slug in slugs if (found := _rechecked(datasets, slug))]


def recheck_after_swap(project: Project, slug: str) -> None:
    """Look again at the datasets that read one whose columns changed."""
    from dteg.datasets.service import Datasets

    recheck(Datasets.of(project), dataset=slug)


def _rechecked(datasets: "Datasets", slug: str) -> Dataset | None:
    """Return a dataset if it is broken; note whether it is."""
    try:
        compiled = datasets.validate(datasets.get(slug).definition)
    except UNFIT as error:
        with session(datasets.project, DOMAIN) as connection:
            store.run(connection, "broken", slug=slug, why=str(error))
        return datasets.get(slug)
    with session(datasets.project, DOMAIN) as connection, connection.transaction():
        store.run(
            connection, "compiled", slug=slug, sql=compiled.sql, columns=store.as_json(compiled.columns)
        )
        _depend(connection, slug, compiled)
    return None


def _refuse_if_taken(connection: store.Connection, slug: str, *, replace: bool, origin: Origin) -> None:
    row = connection.execute(
        "SELECT origin, file FROM _dteg.datasets WHERE slug = %s FOR UPDATE", [slug]
    ).fetchone()
    if row is None:
        return
    if row[0] == "file" and origin != "file":
        raise ConflictError(
            f"dataset {slug} is made from {row[1]}; change that file and run: dteg dataset apply {row[1]}"
        )
    if not replace:
        raise ConflictError(f"there is a dataset {slug!r} already; choose another name, or replace it")


def _depend(connection: store.Connection, slug: str, compiled: "Compiled") -> None:
    store.run(connection, "forget_dependencies", slug=slug)
    for each in compiled.depends_on:
        store.run(connection, "add_dependency", slug=slug, kind=each.kind, name=each.name)


def _datasets_that_read(_project: Project, connection: store.Connection, slug: str) -> Iterable[Use]:
    rows = store.run(connection, "dependents", source="", table="", dictionary="", dataset=slug)
    return [Use(kind="dataset", name=name, why="is made of it") for (name,) in rows.fetchall()]


def _views_that_read(_project: Project, connection: store.Connection, slug: str) -> Iterable[Use]:
    view = TableName(VIEW_SCHEMA, slug)
    found = generations.ask(connection, "dependents", relation=view.sql)
    return [
        Use(kind="view", name=name, why="reads it")
        for _, name, *_ in found
        if not name.startswith(f"{CACHE_SCHEMA}.")
    ]


def _charts_that_read(_project: Project, connection: store.Connection, slug: str) -> Iterable[Use]:
    from dteg.charts.uses import uses_of_dataset

    return uses_of_dataset(connection, slug)


Finder = Callable[[Project, store.Connection, str], Iterable[Use]]
FINDERS: Sequence[Finder] = (_datasets_that_read, _views_that_read, _charts_that_read)
