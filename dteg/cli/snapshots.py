"""`dteg snapshot ...`: numbers of datasets over time, their trends and forecasts."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from pathlib import Path

    from dteg.snapshots.models import Dims, Forecast, NewPoint, Series
    from dteg.snapshots.service import Snapshots

app = typer.Typer(
    help="Numbers of datasets over time: points, trends and forecasts.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Dataset = Annotated[str, typer.Argument(metavar="DATASET", help="Slug of the dataset.")]
MetricName = Annotated[str, typer.Argument(metavar="METRIC", help="Column of the dataset, or rows.")]
By = Annotated[
    list[str],
    typer.Option(
        "--by", metavar="NAME=VALUE", help="Which series; again for more columns. Default: the total."
    ),
]


@app.command("take")
def take(
    dataset: Dataset,
    slot: Annotated[
        str,
        typer.Option(metavar="TIME", help="A time of the schedule, ISO 8601, UTC; default: the last one."),
    ] = "",
    force_rows: Annotated[
        bool, typer.Option("--force-rows", help="Keep whole rows, however many there are.")
    ] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Remember the numbers of a dataset now; a second time within one slot changes nothing."""
    taken = _service(url).take(dataset, _moment(slot, "--slot") if slot else None, force_rows=force_rows)
    if as_json:
        print(taken.model_dump_json())
        return 0
    rows = "" if taken.rows is None else f", {taken.rows:,} rows"
    notes = [
        text
        for text, wanted in (
            ("taken before", taken.again), ("stale", taken.stale), (f"{taken.unusual} unusual", bool(taken.unusual)),
        )
        if wanted
    ]  # fmt: skip
    said = f" ({', '.join(notes)})" if notes else ""
    print(f"{taken.dataset} {_text(taken.slot)}: {taken.points:,} points{rows}{said}")
    if taken.problem:
        typer.echo(taken.problem, err=True)
        return 1
    return 0


@app.command("list")
def list_(dataset: Dataset, url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the series of a dataset with their last values."""
    found = _service(url).series(dataset)
    if as_json:
        print_json(found)
        return 0
    if not found:
        typer.echo(f"nothing is remembered yet: dteg snapshot take {dataset}", err=True)
        return 0
    print_table(("metric", "by", "points", "last", "value"), [_series_row(each) for each in found])
    return 0


@app.command("points")
def points(
    dataset: Dataset,
    metric: MetricName,
    by: By = [],  # noqa: B006 - Typer reads it once
    since: Annotated[str, typer.Option(metavar="TIME", help="From here on, ISO 8601, UTC.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="The newest so many.")] = 30,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Show the points of a series, oldest first."""
    from dteg.snapshots.wording import number

    after = _moment(since, "--since") if since else None
    found = _service(url).points(dataset, metric, _by(by), since=after, limit=limit)
    if as_json:
        print_json(found)
        return 0
    rows = [(_text(each.slot), number(each.value), "stale" if each.stale else "") for each in found]
    print_table(("slot", "value", ""), rows)
    return 0


@app.command("trend")
def trend(
    dataset: Dataset, metric: MetricName, by: By = [], url: StudioUrl = "", as_json: AsJson = False  # noqa: B006
) -> int:  # fmt: skip
    """Say how a series goes: changes, direction, unusual values."""
    found = _service(url).trend(dataset, metric, _by(by))
    print(found.model_dump_json() if as_json else found.words)
    return 0


@app.command("forecast")
def forecast(
    dataset: Dataset,
    metric: Annotated[str, typer.Argument(metavar="[METRIC]", help="Metric; default: all series.")] = "",
    by: By = [],  # noqa: B006
    horizon: Annotated[
        int | None, typer.Option(min=1, max=200, help="Times ahead; default: by the schedule.")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Make it anew, even without new points.")] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Forecast a series, or all of a dataset, with the error of the model in a backtest."""
    snapshots = _service(url)
    try:
        if metric:
            found = [snapshots.forecast(dataset, metric, _by(by), horizon, fresh=fresh)]
        else:
            found = snapshots.forecast_all(dataset, horizon, fresh=fresh)
    finally:
        if close := getattr(snapshots, "close", None):
            close()
    if as_json:
        print_json(found)
    elif metric:
        _print_forecast(found[0])
    else:
        print_table(
            ("metric", "by", "state", "model", "MASE", "ends"), [_forecast_row(each) for each in found]
        )
    return 0


@app.command("add")
def add(
    dataset: Dataset,
    metric: MetricName,
    file: Annotated[str, typer.Argument(metavar="CSV", help="File with the columns slot and value.")],
    by: By = [],  # noqa: B006
    url: StudioUrl = "",
) -> int:
    """Add points of the past from a CSV file, such as numbers that another system has kept."""
    from pathlib import Path

    found = _service(url).add(dataset, metric, _read_points(Path(file)), _by(by))
    print(f"{found.metric} of {found.dataset}: {found.points:,} points")
    return 0


@app.command("prune")
def prune(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """Delete points, forecasts and rows that are older than `snapshot.keep` of their dataset."""
    done = _service(url).prune()
    if as_json:
        print(done.model_dump_json())
        return 0
    print(
        f"removed {done.points:,} points, {done.forecasts:,} forecasts and {done.partitions:,} months of rows"
    )
    for dataset in done.datasets:
        print(f"  {dataset}: the dataset was removed more than a month ago, its history is gone now")
    return 0


def _service(url: str) -> "Snapshots":
    from dteg.snapshots.remote import RemoteSnapshots
    from dteg.snapshots.service import Snapshots

    return service(Snapshots, RemoteSnapshots, url)


def _by(texts: Sequence[str]) -> "Dims":
    from dteg.snapshots.dims import parse_by

    return parse_by(texts)


def _moment(text: str, option: str) -> datetime:
    from dteg.core.errors import ConfigError

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{option}: {text!r} is no time; write it as 2026-11-21T06:00") from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _read_points(path: "Path") -> "list[NewPoint]":
    import csv

    from pydantic import ValidationError

    from dteg.core.errors import InputError
    from dteg.snapshots.models import NewPoint

    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"it cannot be read: {error}", source=str(path)) from None
    if not rows or not {"slot", "value"} <= set(rows[0]):
        raise InputError(
            "it needs a first line with the columns slot and value, and rows below", source=str(path)
        )
    found = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(NewPoint.model_validate({"slot": row["slot"], "value": row["value"]}))
        except ValidationError as error:
            each = error.errors()[0]
            raise InputError(f"{each['loc'][0]}: {each['msg']}", source=str(path), row=number) from None
    return found


def _series_row(series: "Series") -> tuple[str, str, str, str, str]:
    from dteg.snapshots.dims import by_texts
    from dteg.snapshots.wording import number

    value = "-" if series.last_value is None else number(series.last_value)
    last = "-" if series.last_slot is None else _text(series.last_slot)
    return series.metric, " ".join(by_texts(series.by)) or "-", str(series.points), last, value


def _forecast_row(forecast: "Forecast") -> tuple[str, ...]:
    from dteg.snapshots.dims import by_texts
    from dteg.snapshots.wording import number

    mase = "-" if forecast.mase is None else f"{forecast.mase:.2f}"
    end = "-"
    if forecast.points:
        last = forecast.points[-1]
        end = f"{number(last.mean)} ({number(last.lo80)} to {number(last.hi80)}) on {_text(last.slot)}"
    by = " ".join(by_texts(forecast.by)) or "-"
    return forecast.metric, by, forecast.state.value, forecast.model or "-", mase, end


def _print_forecast(forecast: "Forecast") -> None:
    from dteg.snapshots.wording import forecast_words, number

    print(forecast_words(forecast))
    if forecast.points:
        rows = [
            (
                _text(each.slot),
                *(number(value) for value in (each.mean, each.lo80, each.hi80, each.lo95, each.hi95)),
            )
            for each in forecast.points
        ]
        print_table(("slot", "expected", "80 % from", "to", "95 % from", "to"), rows)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
