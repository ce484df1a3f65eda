"""What is made of a dataset: snapshots, a dashboard in a browser, and definitions that go from one hub to another."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import psycopg

from benchmarks.datasets.worlds import World, embedded_hub, fill_hub, project_of
from benchmarks.registry.cases import Case
from dteg.charts.service import Charts
from dteg.core.project import Project
from dteg.dashboards.service import Dashboards
from dteg.datasets.service import Datasets
from dteg.datasets.spec import parse_spec
from dteg.snapshots.service import Snapshots

SERIES = 100
# A year of days and more: what one series comes to.
PAST = 400
SEGMENTS = """
dataset: segments
sources: {c: {source: warehouse, schema: public, table: customers}}
group_by: [{name: segment, from: c.segment}]
measures: [{name: customers, fn: count}]
cache: {key: [segment]}
snapshot: {schedule: "* * * * *", metrics: [customers], by: [segment]}
"""
PEOPLE = """
dataset: people
sources: {c: {source: warehouse, schema: public, table: customers}}
group_by: [{name: country, from: c.country}, {name: segment, from: c.segment}]
measures: [{name: customers, fn: count}, {name: highest, fn: max, of: c.id}]
cache: {key: [country, segment]}
checks: [{not_empty: true}, {unique: [country, segment]}]
"""
CHARTS = ("bar", "line", "area", "pie", "heatmap", "point")
POINTS = "_dteg.snapshot_points"


def snapshot(world: World, rounds: int) -> Case:
    """Remember a hundred series, twice, and see how large a point is."""
    world.save(SEGMENTS)
    world.datasets.refresh("segments")
    snapshots = Snapshots.of(world.project)
    snapshots.take("segments", None)  # imports, tables, and the series themselves
    took, written = [], 0
    for _ in range(rounds):
        _forget(world)
        began = time.perf_counter()
        taken = snapshots.take("segments", None)
        took.append((time.perf_counter() - began) * 1000)
        before = _points(world)
        snapshots.take("segments", taken.slot)
        written += _points(world) - before
    series = taken.points
    with psycopg.connect(world.hub, autocommit=True) as connection:
        connection.execute(
            f"INSERT INTO {POINTS} (slot, value, series_id) SELECT slot - day * interval '1 day', value, series_id"
            f" FROM {POINTS}, generate_series(1, {PAST}) AS day"
        )
        row = connection.execute(
            f"SELECT pg_total_relation_size('{POINTS}'), count(*) FROM {POINTS}"
        ).fetchone()
    size, count = row or (0, 1)
    return Case(
        {
            "milliseconds": round(statistics.median(took), 1), "points": series, "written_again": written,
            "bytes_a_point": round(size / count, 1),
        },
        [f"median of {rounds}, each of a time that had no points; size with indexes, of {count:,} points"],
    )  # fmt: skip


def _forget(world: World) -> None:
    """Delete what was taken, so that the same time can be taken once more."""
    with psycopg.connect(world.hub, autocommit=True) as connection:
        connection.execute(f"DELETE FROM {POINTS}")
        connection.execute("DELETE FROM _dteg.snapshot_takes")


def _points(world: World) -> int:
    with psycopg.connect(world.hub, autocommit=True) as connection:
        found = connection.execute(f"SELECT count(*) FROM {POINTS}").fetchone()
    return int(found[0]) if found else 0


def definitions() -> dict[str, str]:
    """Return six charts and their dashboard as YAML."""
    charts = {}
    for kind in CHARTS:
        color = "\ncolor: {field: segment}" if kind == "heatmap" else ""
        charts[kind] = (
            f"chart: {kind}\ntitle: Customers as {kind}\nsource: {{dataset: people}}\ntype: {kind}\n"
            f"x: {{field: {'country' if kind in ('bar', 'pie', 'heatmap') else 'segment'}}}\n"
            f"y: [{{fn: sum, field: customers}}]{color}\n"
        )
    tiles = "".join(
        f"  - {{chart: {kind}, x: {number % 2 * 6}, y: {number // 2 * 4}, w: 6, h: 4}}\n"
        for number, kind in enumerate(CHARTS)
    )
    return {**charts, "dashboard": f"dashboard: six\ntitle: Six charts\ntiles:\n{tiles}"}


def make_dashboard(project: Project) -> None:
    """Make the dataset of the dashboard, its charts, and itself."""
    datasets = Datasets.of(project)
    datasets.save(parse_spec(PEOPLE), replace=True)
    datasets.refresh("people")
    made = definitions()
    for kind in CHARTS:
        Charts.of(project).apply(made[kind])
    Dashboards.of(project).import_(made["dashboard"])


def dashboard(world: World, rounds: int) -> Case:
    """Open the dashboard in browsers that have seen nothing yet."""
    from dteg.testing.browser import headless_chromium
    from studio.testing import running_studio

    make_dashboard(world.project)
    found = []
    with running_studio(world.project) as studio, headless_chromium() as browser:
        for _ in range(rounds):
            with studio.browser() as login:
                cookies = [
                    {"name": name, "value": value, "url": studio.url} for name, value in login.cookies.items()
                ]
            found.append(_open(browser, cookies, f"{studio.url}/dashboards/six"))
    return Case(
        {
            "ready_s": round(statistics.median(each["ready_s"] for each in found), 2),
            "first_s": round(found[0]["ready_s"], 2),
            "js_kb": round(max(each["js_bytes"] for each in found) / 1000),
            "elsewhere": max(each["elsewhere"] for each in found),
            "unsafe_eval": max(each["unsafe_eval"] for each in found),
            "requests": max(each["requests"] for each in found),
        },
        [f"median of {rounds} new browser profiles; the first one also finds a studio that has drawn nothing yet"],
    )  # fmt: skip


def _open(browser: Any, cookies: list[dict[str, str]], url: str) -> dict[str, float]:
    """Open a page and wait until all charts are drawn; return what it took."""
    from dteg.testing.browser import requests_elsewhere

    context = browser.new_context(viewport={"width": 1440, "height": 1600})
    elsewhere = requests_elsewhere(context)
    context.add_cookies(cookies)
    page = context.new_page()
    responses: list[Any] = []

    def note(response: Any) -> None:
        responses.append(response)

    page.on("response", note)
    began = time.perf_counter()
    answer = page.goto(url)
    # Not by a function of the page: its policy forbids what would be one.
    page.locator('[data-ready="true"]').nth(len(CHARTS) - 1).wait_for(state="attached", timeout=60_000)
    ready = time.perf_counter() - began
    policy = (answer.headers if answer else {}).get("content-security-policy", "'unsafe-eval' missing policy")
    scripts = [each for each in responses if "javascript" in each.headers.get("content-type", "")]
    size = sum(len(each.body()) for each in scripts)
    context.close()
    return {
        "ready_s": ready, "js_bytes": size, "elsewhere": len(elsewhere), "requests": len(responses),
        "unsafe_eval": float("'unsafe-eval'" in policy),
    }  # fmt: skip


def round_trip(world: World) -> Case:
    """Export all definitions, import them into an empty hub, and export them there."""
    make_dashboard(world.project)
    world.save(SEGMENTS)
    before = _exports(world.project)
    with embedded_hub() as hub, project_of(hub) as other:
        fill_hub(hub, 1000)
        datasets = Datasets.of(other)
        for name, text in before.items():
            if name.startswith("dataset "):
                datasets.save(parse_spec(text))
        for name, text in before.items():
            if name.startswith("chart "):
                Charts.of(other).apply(text)
        Dashboards.of(other).import_(before["dashboard six"])
        after = _exports(other, only=set(before))
    differ = [name for name, text in before.items() if after.get(name) != text]
    return Case(
        {"definitions": len(before), "differ": len(differ), "bytes": sum(map(len, before.values()))},
        [f"differ: {', '.join(differ)}"] if differ else [],
    )


def _exports(project: Project, only: set[str] | None = None) -> dict[str, str]:
    datasets, charts, dashboards = Datasets.of(project), Charts.of(project), Dashboards.of(project)
    ways: dict[str, Callable[[], str]] = {}
    for slug in ("people", "segments"):
        ways[f"dataset {slug}"] = lambda slug=slug: datasets.export(slug)  # type: ignore[misc]
    for slug in CHARTS:
        ways[f"chart {slug}"] = lambda slug=slug: charts.export(slug)  # type: ignore[misc]
    ways["dashboard six"] = lambda: dashboards.export("six")
    return {name: way() for name, way in ways.items() if only is None or name in only}
