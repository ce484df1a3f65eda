"""Linking, compiling, joining: what a dataset costs when all is well."""

import statistics
import time

import psycopg

from benchmarks.datasets.worlds import BY_COUNTRY, JOINED, SHOP, World
from benchmarks.registry.cases import Case
from benchmarks.registry.wire import percentile
from dteg.datasets.catalogue import LiveCatalogue
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.spec import parse_spec
from dteg.sources.models import NewSource

TABLES = 50
COMPILES = 200
PLAIN = "bench_plain"
# A type of which nothing is known here, so that the table is what it takes to link the others all the same.
ODD = "CREATE TYPE odd AS (a integer); CREATE TABLE wide.odd (id integer, strange odd)"
WIDE = (
    "CREATE TABLE wide.t{n} (id bigint PRIMARY KEY, name text NOT NULL, kind varchar(20), price numeric(12, 2), count integer,"
    " seen timestamptz, day date, ok boolean, tags text[], more jsonb)"
)


def link(world: World, remote: str) -> Case:
    """Link a source with many tables."""
    with psycopg.connect(remote, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA wide")
        for number in range(TABLES):
            connection.execute(WIDE.format(n=number).encode())
        connection.execute(ODD.encode())
    new = NewSource.model_validate(
        {"slug": "wide", "kind": "postgres", "url": remote, "tables": ["wide.*"], "mode": "fdw"}
    )
    began = time.perf_counter()
    report = world.sources.add(new)
    seconds = time.perf_counter() - began
    whole = sum(1 for number in range(TABLES) if world.sources.table("wide", f"wide.t{number}").linked)
    return Case(
        {"seconds": round(seconds, 3), "linked": whole, "reported": len(report.problems)},
        [
            f"{TABLES} tables of 10 columns, and one with a type of its own; connection and statistics included"
        ],
    )


def compiling(world: World) -> Case:
    """Compile a definition again and again, with the catalogue as it is."""
    text = BY_COUNTRY.replace("schema: SCHEMA", f"schema: {world.schema}")
    spec = parse_spec(text)
    took = []
    for _ in range(COMPILES):
        began = time.perf_counter()
        compile_dataset(spec, LiveCatalogue(world.project))
        took.append((time.perf_counter() - began) * 1000)
    first, others = took[0], took[1:]
    return Case(
        {"p50_ms": round(statistics.median(others), 2), "p95_ms": round(percentile(others, 95), 2), "first_ms": round(first, 1)},
        [f"{COMPILES} times, with a new catalogue each; the first one imports the parser"],
    )  # fmt: skip


def join(world: World, remote: str, rounds: int) -> Case:
    """Compare a linked table with a plain foreign table, then refresh."""
    world.save(BY_COUNTRY)
    world.save(JOINED)
    relation = world.sources.table(SHOP, f"{world.schema}.orders").relation.sql
    tuned = world.datasets.sql("by_country")
    _plain_table(world.hub, remote, world.schema)
    plain = tuned.replace(relation, f"{PLAIN}.orders")
    if plain == tuned:
        raise SystemExit(f"the query does not name {relation}: nothing is measured")
    took: dict[str, list[float]] = {"tuned": [], "plain": []}
    for number in range(rounds):
        order = [("tuned", tuned), ("plain", plain)]
        for name, query in order if number % 2 == 0 else order[::-1]:
            took[name].append(_seconds(world, query))
    refreshes = []
    for _ in range(rounds):
        began = time.perf_counter()
        generation = world.datasets.refresh("joined")
        refreshes.append(time.perf_counter() - began)
    pairs = [slow / fast for slow, fast in zip(took["plain"], took["tuned"], strict=True)]
    return Case(
        {
            "tuned_s": round(statistics.median(took["tuned"]), 3),
            "plain_s": round(statistics.median(took["plain"]), 3),
            "times_as_fast": round(statistics.median(pairs), 2),
            "refresh_s": round(statistics.median(refreshes), 2),
            "rows": generation.rows, "bytes": generation.bytes,
        },
        [f"medians of {rounds} rounds in changing order; plain: the server's own settings, no statistics"],
    )  # fmt: skip


def _plain_table(hub: str, remote: str, schema: str) -> None:
    """Make the same table as anybody would who does not know better."""
    parts = psycopg.conninfo.conninfo_to_dict(remote)
    with psycopg.connect(hub, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {PLAIN} CASCADE")
        connection.execute(f"DROP SERVER IF EXISTS {PLAIN} CASCADE")
        connection.execute("CREATE EXTENSION IF NOT EXISTS postgres_fdw")
        connection.execute(
            f"CREATE SERVER {PLAIN} FOREIGN DATA WRAPPER postgres_fdw"
            f" OPTIONS (host '{parts['host']}', port '{parts['port']}', dbname '{parts['dbname']}')"
        )
        connection.execute(
            f"CREATE USER MAPPING FOR CURRENT_USER SERVER {PLAIN}"
            f" OPTIONS (user '{parts['user']}', password '{parts['password']}')"
        )
        connection.execute(f"CREATE SCHEMA {PLAIN}")
        connection.execute(
            f"IMPORT FOREIGN SCHEMA {schema} LIMIT TO (orders) FROM SERVER {PLAIN} INTO {PLAIN}"
        )


def _seconds(world: World, query: str) -> float:
    with world.reading() as connection:
        began = time.perf_counter()
        connection.execute(query.encode()).fetchall()
        return time.perf_counter() - began
