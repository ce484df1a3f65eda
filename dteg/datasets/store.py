"""What is known of datasets and their generations, in the warehouse."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from dteg.core.durations import parse_duration
from dteg.core.errors import NotFoundError
from dteg.core.queries import first_value, load_queries
from dteg.core.schedules import next_times
from dteg.core.suggest import did_you_mean
from dteg.datasets.models import Dataset, DatasetState, Generation, GenerationStatus

QUERIES = load_queries(Path(__file__).with_name("queries.sql"))
ABANDONED = "the process that built it ended without a word; what it left is cleared by the next refresh"
NOT_RESTORED = "its rows were not part of the backup that this database was restored from"

Connection = psycopg.Connection[Any]


def run(connection: Connection, query: str, /, **values: Any) -> psycopg.Cursor[Any]:
    """Run one of the statements in queries.sql."""
    return connection.execute(QUERIES[query].encode(), values or None)


def first(connection: Connection, query: str, /, **values: Any) -> Any:
    """Return the first value of the first row; None if there is none."""
    return first_value(connection, QUERIES[query], values or None)


# Between the end of a build and the moment in which readers see it.
_UNPUBLISHED = (GenerationStatus.BUILT, GenerationStatus.CHECKED)


def datasets(connection: Connection, now: datetime) -> list[Dataset]:
    """Return all datasets by name."""
    return _read(connection, None, now)


def get(connection: Connection, slug: str, now: datetime) -> Dataset:
    """Return one dataset.

    Raises:
        NotFoundError: There is none of this name.
    """
    found = _read(connection, slug, now)
    if not found:
        raise unknown(connection, slug)
    return found[0]


def require(connection: Connection, slug: str) -> None:
    """Refuse a name that no dataset has.

    Raises:
        NotFoundError: There is none of this name.
    """
    if slug not in (each[0] for each in run(connection, "slugs")):
        raise unknown(connection, slug)


def generations(connection: Connection, slug: str, limit: int) -> list[Generation]:
    """Return the generations of a dataset, newest first."""
    return _generations(connection, "generations", slug=slug, n=None, limit=limit)


def generation(connection: Connection, slug: str, n: int) -> Generation:
    """Return one generation.

    Raises:
        NotFoundError: There is none.
    """
    found = _generations(connection, "generations", slug=slug, n=n, limit=1)
    if not found:
        require(connection, slug)
        raise NotFoundError(
            f"dataset {slug} has no generation {n}; list them with: dteg dataset generations {slug}"
        )
    return found[0]


def of_run(connection: Connection, run_id: str) -> Generation | None:
    """Return the generation that a run made."""
    found = _generations(connection, "of_run", run_id=run_id)
    return found[0] if found else None


def unknown(connection: Connection, slug: str) -> NotFoundError:
    """Return the error that there is no dataset of a name."""
    # A name that is for some only is told to nobody by chance.
    near = did_you_mean(slug, [name for name, roles in run(connection, "roles") if not roles])
    return NotFoundError(f"there is no dataset {slug!r}; {near or 'list them with: dteg dataset list'}")


def _read(connection: Connection, slug: str | None, now: datetime) -> list[Dataset]:
    rows, last = _rows(connection, slug)
    between = {name for name, each in last.items() if each.status in _UNPUBLISHED}
    busy = _busy(connection, between) if between else frozenset()
    if between - busy:
        # Whether somebody works on it is asked after the rows were read, and it may have been published in between.
        rows, last = _rows(connection, slug)
    return [_dataset(row, last.get(row["slug"]), now, is_going_on=row["slug"] in busy) for row in rows]


def _rows(connection: Connection, slug: str | None) -> tuple[list[dict[str, Any]], dict[str, Generation]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        rows = cursor.execute(QUERIES["datasets"].encode(), {"slug": slug}).fetchall()
    return rows, _told(connection, [row["last"] for row in rows if row["last"]])


def _generations(connection: Connection, query: str, **values: Any) -> list[Generation]:
    rows = [row[0] for row in run(connection, query, **values)]
    building = {(row["dataset"], row["n"]) for row in rows if _is_building(row)}
    if not building:
        return [_generation(row, frozenset()) for row in rows]
    # Whether somebody builds is asked after the rows were read, and it may have ended in between: read once more.
    busy = _busy(connection, {slug for slug, _ in building})
    lost = frozenset((slug, n) for slug, n in building if slug not in busy)
    return [_generation(row[0], lost) for row in run(connection, query, **values)]


def _told(connection: Connection, rows: Sequence[dict[str, Any]]) -> dict[str, Generation]:
    """Return generations by dataset; those that are being built are looked at again as above."""
    building = {row["dataset"] for row in rows if _is_building(row)}
    busy = _busy(connection, building) if building else frozenset()
    found = {row["dataset"]: row for row in rows}
    for slug in building - busy:
        again = first(connection, "generations", slug=slug, n=found[slug]["n"], limit=1)
        found[slug] = again or found[slug]
    lost = frozenset((slug, row["n"]) for slug, row in found.items() if slug in building - busy)
    return {slug: _generation(row, lost) for slug, row in found.items()}


def _busy(connection: Connection, slugs: Iterable[str]) -> frozenset[str]:
    return frozenset(row[0] for row in run(connection, "being_refreshed", slugs=sorted(slugs)))


def _is_building(row: Mapping[str, Any]) -> bool:
    return bool(row["status"] == GenerationStatus.BUILDING)


def _generation(row: Mapping[str, Any], lost: frozenset[tuple[str, int]]) -> Generation:
    """Return a generation; one that is being built by nobody has failed."""
    values = {name: value for name, value in row.items() if name in Generation.model_fields}
    if _is_building(row) and (row["dataset"], row["n"]) in lost:
        values |= {"status": GenerationStatus.FAILED, "error": ABANDONED}
    return Generation.model_validate(values)


def _dataset(row: Mapping[str, Any], last: Generation | None, now: datetime, *, is_going_on: bool) -> Dataset:
    spec, cache = row["spec"], row["spec"].get("cache") or {}
    live = Generation.model_validate(_known(row["live"])) if row["live"] and row["live_is_there"] else None
    age_s = (now - live.data_as_of).total_seconds() if live and live.data_as_of else None
    max_age_s = parse_duration(cache["max_age"]).total_seconds() if cache.get("max_age") else None
    state = DatasetState.ACTIVE if live else DatasetState.DRAFT
    return Dataset(
        slug=row["slug"],
        title=spec.get("title", ""),
        description=spec.get("description", ""),
        origin=row["origin"],
        file=row["file"],
        state=DatasetState.BROKEN if row["broken"] else state,
        problem=_problem(row, live, last),
        revision=row["revision"],
        saved_at=row["saved_at"],
        saved_by=row["saved_by"],
        spec=spec,
        columns=row["columns"],
        depends_on=row["depends_on"],
        live=live,
        building=last if last and (is_going_on or last.status is GenerationStatus.BUILDING) else None,
        last=last,
        age_s=max(age_s, 0.0) if age_s is not None else None,
        max_age_s=max_age_s,
        stale=bool(age_s is not None and max_age_s is not None and age_s > max_age_s),
        schedule=cache.get("schedule") or "",
        next_at=_next(cache, now),
    )


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name in Generation.model_fields}


def _problem(row: Mapping[str, Any], live: Generation | None, last: Generation | None) -> str:
    if row["broken"]:
        return str(row["broken"])
    if last and last.status is GenerationStatus.FAILED:
        return last.error
    if row["live"] and not live:
        return f"{NOT_RESTORED}; refresh it: dteg dataset refresh {row['slug']}"
    return ""


def _next(cache: Mapping[str, Any], now: datetime) -> datetime | None:
    if not cache.get("schedule"):
        return None
    times = next_times(cache["schedule"], cache.get("timezone", "UTC"), now, 1)
    return times[0] if times else None


def as_json(values: Any) -> str:
    """Return models or plain values as JSON text."""
    plain = [each.model_dump(mode="json") for each in values] if isinstance(values, list) else values
    return json.dumps(plain, ensure_ascii=False)
