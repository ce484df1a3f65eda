"""Snapshots as the command line, the studio and Dagster call them."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from dteg.core.clock import Clock, utc_now
from dteg.core.control import session
from dteg.core.errors import ConfigError, InputError, NotFoundError
from dteg.core.project import Project
from dteg.snapshots import store
from dteg.snapshots.dims import by_texts
from dteg.snapshots.models import (
    Dims,
    Forecast,
    ForecastRun,
    ForecastState,
    How,
    Metric,
    NewPoint,
    Point,
    Pruned,
    RowSnapshot,
    Series,
    Taken,
    TakeOrder,
    Trend,
)

if TYPE_CHECKING:
    from dteg.datasets.service import Datasets
    from dteg.snapshots.forecasting.forecaster import Forecaster
    from dteg.snapshots.forecasts import Prepared
    from dteg.snapshots.slots import Clockwork

MAX_FORECASTS = 500
_TREND_POINTS = 20_000
_LEARNT_POINTS = 2_000


class Snapshots:
    """What is remembered of the datasets of a project.

    Args:
        project: Whose.
        clock: The time.
    """

    def __init__(self, project: Project, clock: Clock = utc_now) -> None:
        self.project = project
        self._clock = clock
        self._forecaster: Forecaster | None = None
        self._lock = threading.Lock()

    @classmethod
    def of(cls, project: Project) -> Self:
        """Return those of a project."""
        return cls(project)

    def close(self) -> None:
        """End the process that forecasts, if one was started."""
        with self._lock:
            forecaster, self._forecaster = self._forecaster, None
        if forecaster is not None:
            forecaster.close()

    # Taking

    def take(self, dataset: str, slot: datetime | None = None, *, force_rows: bool = False) -> Taken:
        """Remember the numbers of a dataset at a planned time. Doing it again changes nothing.

        A time that is over is taken from the rows that readers saw then, if these are still kept. A snapshot of rows
        that were too old is taken anew when there are fresher ones before its time is over.

        Args:
            dataset: Slug.
            slot: A time of the schedule; default: the last one.
            force_rows: Keep whole rows, however many there are.

        Raises:
            NotFoundError: There is no such dataset.
            ConfigError: It has no `snapshot`, or that does not fit its columns.
            InputError: The slot is in the future or none of the schedule.
            ConflictError: There are no rows, or not those of that time any more.
        """
        from dteg.snapshots.taking import take
        from dteg.snapshots.watch import watch

        order = TakeOrder(slot=_aware(slot) if slot else None, force_rows=force_rows)
        taken, clockwork = take(self.project, self._clock, dataset, order)
        return taken.model_copy(update={"unusual": watch(self.project, taken, clockwork)})

    def add(self, dataset: str, metric: str, points: Sequence[NewPoint], by: Dims | None = None) -> Series:
        """Add points of the past that are known from elsewhere; a time that has one already gets the new value.

        Raises:
            NotFoundError: There is no such dataset.
            ConfigError: Its snapshots have no such metric.
        """
        from dteg.snapshots.metrics import plan_of

        known = self._datasets().get(dataset)
        plan = plan_of(known.definition, known.seen_columns)
        found = next((each for each in plan.metrics if each.name == metric), None)
        by = by or {}
        if found is None:
            names = ", ".join(each.name for each in plan.metrics)
            raise ConfigError(f"the snapshots of {dataset} have no metric {metric!r}; they have {names}")
        if by and set(by) != set(plan.by):
            raise ConfigError(
                f"{metric} of {dataset} is kept by {', '.join(plan.by) or 'nothing'}; give exactly these"
            )
        now = self._clock()
        if any(_aware(point.slot) > now for point in points):
            raise InputError("a point lies in the future")
        made = [((metric, store.dims_text(by)), _aware(point.slot), point.value) for point in points]
        # One row twice in a statement is refused by the server: the last one counts.
        made = list({slot: (key, slot, value) for key, slot, value in made}.values())
        with session(self.project, store.DOMAIN) as connection, connection.transaction():
            store.run(connection, "lock", dataset=dataset)
            store.save_points(connection, dataset, {metric: found.how.value}, made)
        return next(each for each in self.series(dataset, metric) if each.by == by)

    def takes(self, dataset: str, limit: int = 50) -> list[Taken]:
        """Return when a dataset was looked at, newest first."""
        with session(self.project, store.DOMAIN) as connection:
            return [
                Taken.model_validate(row)
                for row in store.rows(connection, "takes", dataset=dataset, limit=limit)
            ]

    # Reading

    def metrics(self, dataset: str) -> list[Metric]:
        """Return the numbers that are, or will be, remembered of a dataset.

        Raises:
            NotFoundError: There is no such dataset.
        """
        from dteg.snapshots.metrics import plan_of

        known = self._datasets().get(dataset)
        with session(self.project, store.DOMAIN) as connection:
            there = {row["name"]: row for row in store.rows(connection, "metrics", dataset=dataset)}
        try:
            plan = plan_of(known.definition, known.seen_columns)
        except ConfigError:  # what was remembered before stays readable
            return [
                Metric(name=name, how=How(row["how"]), series=row["series"]) for name, row in there.items()
            ]
        found = [
            Metric(
                name=each.name,
                how=each.how,
                by=list(plan.by),
                series=there.pop(each.name, {}).get("series", 0),
            )
            for each in plan.metrics
        ]
        return found + [
            Metric(name=name, how=How(row["how"]), series=row["series"]) for name, row in there.items()
        ]

    def series(self, dataset: str, metric: str = "", limit: int = store.MAX_LISTED) -> list[Series]:
        """Return the series that have points, of one metric or all: the total first, then the greatest."""
        with session(self.project, store.DOMAIN) as connection:
            return store.series(connection, dataset, metric, limit)

    def points(  # noqa: PLR0917 - the parts of a question
        self,
        dataset: str,
        metric: str,
        by: Dims | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = 10_000,
    ) -> list[Point]:
        """Return the newest points of a series, oldest first.

        Raises:
            NotFoundError: There is no such series; the message says which there are.
        """
        with session(self.project, store.DOMAIN) as connection:
            number = store.series_id(connection, dataset, metric, by or {})
            return store.points(
                connection,
                dataset,
                number,
                _aware(since) if since else None,
                _aware(until) if until else None,
                limit,
            )

    def row_snapshots(self, dataset: str, limit: int = 1000) -> list[RowSnapshot]:
        """Return the times of which whole rows are kept, newest first."""
        with session(self.project, store.DOMAIN) as connection:
            table = store.rows(connection, "row_tables", dataset=dataset)
            if not table:
                return []
            months = store.rows(connection, "partitions", relation=table[0]["relation"])
            if not months:
                return []
            since = datetime.strptime(months[0]["relname"][-7:], "%Y_%m").replace(tzinfo=UTC)
            found = store.rows(connection, "row_snapshots", dataset=dataset, since=since, limit=limit)
        return [RowSnapshot(**row, relation=table[0]["relation"]) for row in found]

    # Trends and forecasts

    def trend(self, dataset: str, metric: str, by: Dims | None = None) -> Trend:
        """Return what the points of a series say.

        Raises:
            NotFoundError: There is no such series.
        """
        from dteg.snapshots.trends import trend_of

        points = self.points(dataset, metric, by, limit=_TREND_POINTS)
        return trend_of(dataset, metric, by or {}, points, self._clockwork(dataset))

    def forecast(
        self,
        dataset: str,
        metric: str,
        by: Dims | None = None,
        horizon: int | None = None,
        *,
        fresh: bool = False,
    ) -> Forecast:
        """Return what is expected of a series, and keep it. Made anew if there are new points, or if `fresh`.

        Too few points are no error: the state then is `not_enough_data`.

        Raises:
            NotFoundError: There is no such series.
            TransientError: The process that forecasts died or took too long.
        """
        with session(self.project, store.DOMAIN) as connection:
            number = store.series_id(connection, dataset, metric, by or {})
        return self._forecast(dataset, [(number, metric, by or {})], horizon, fresh=fresh)[0]

    def forecast_all(
        self, dataset: str, horizon: int | None = None, *, fresh: bool = False
    ) -> list[Forecast]:
        """Return what is expected of the series of a dataset, up to 500: one process makes all of them.

        Raises:
            TransientError: The process that forecasts died or took too long.
        """
        with session(self.project, store.DOMAIN) as connection:
            found = store.rows(connection, "series_ids", dataset=dataset, limit=MAX_FORECASTS)
        wanted = [(row["id"], row["metric"], row["dims"]) for row in found]
        return self._forecast(dataset, wanted, horizon, fresh=fresh)

    def forecasts(self, dataset: str, metric: str = "", by: Dims | None = None) -> list[Forecast]:
        """Return the newest forecast of each series that has one; of one series if a metric is named.

        Raises:
            NotFoundError: The metric has no such series.
        """
        with session(self.project, store.DOMAIN) as connection:
            number = store.series_id(connection, dataset, metric, by or {}) if metric else None
            return store.forecasts(connection, dataset, number)

    # Forecasts by the clock

    def forecasts_due(self) -> list[str]:
        """Return the datasets with a snapshot that no forecast knows and that it is time to forecast: each once a day."""
        from dteg.snapshots.by_clock import due

        with session(self.project, store.DOMAIN) as connection:
            return due(connection, self._clock())

    def forecast_by_clock(self, dataset: str) -> ForecastRun:
        """Forecast all series of a dataset, write down what came of it, and tell the alerts; a failure is a result."""
        from dteg.snapshots.by_clock import forecast

        return forecast(self, dataset, self._clock())

    def forecast_run(self, dataset: str) -> ForecastRun | None:
        """Return what came of the last forecasts that were made by the clock; None if there were none."""
        with session(self.project, store.DOMAIN) as connection:
            found = store.rows(connection, "forecast_run", dataset=dataset)
        return ForecastRun.model_validate(found[0]) if found else None

    # Keeping

    def prune(self) -> Pruned:
        """Delete what the definitions of the datasets do not want to keep any longer."""
        from dteg.snapshots.retention import prune

        self._datasets().datasets()  # their tables are there afterwards
        with session(self.project, store.DOMAIN) as connection:
            return prune(connection, self.project, self._clock())

    def forget(self, dataset: str) -> None:
        """Delete all that is remembered of a dataset."""
        from dteg.snapshots.retention import forget

        with session(self.project, store.DOMAIN) as connection:
            forget(connection, dataset)

    def _forecast(
        self, dataset: str, wanted: Sequence[tuple[int, str, Dims]], horizon: int | None, *, fresh: bool
    ) -> list[Forecast]:
        from dteg.snapshots.forecasts import forecast_of, not_enough, prepare

        clockwork = self._clockwork(dataset)
        now = self._clock()
        made: dict[int, Forecast] = {}
        open_: list[tuple[int, str, Dims, Prepared]] = []
        with session(self.project, store.DOMAIN) as connection:
            kept = {} if fresh else {_key(each): each for each in store.forecasts(connection, dataset)}
            for number, metric, by in wanted:
                points = store.points(connection, dataset, number, None, None, _LEARNT_POINTS)
                prepared = prepare(points, clockwork, horizon)
                old = kept.get((metric, *by_texts(by)))
                if prepared.order is None:
                    made[number] = not_enough(dataset, metric, by, prepared, now)
                elif old and old.state is ForecastState.OK and _is_same(old, prepared):
                    made[number] = old
                else:
                    open_.append((number, metric, by, prepared))
        forecaster = self._worker()
        results = forecaster.forecast(
            [prepared.order for *_, prepared in open_ if prepared.order is not None]
        )
        with session(self.project, store.DOMAIN) as connection, connection.transaction():
            for (number, metric, by, prepared), result in zip(open_, results, strict=True):
                is_plain = forecaster.python is None
                made[number] = forecast_of(dataset, metric, by, prepared, result, now, is_plain=is_plain)
                store.save_forecast(connection, number, made[number])
        return [made[number] for number, _, _ in wanted]

    def _worker(self) -> "Forecaster":
        from dteg.snapshots.forecasting.forecaster import Forecaster, find_python

        with self._lock:
            if self._forecaster is None:
                self._forecaster = Forecaster(find_python(self.project))
            return self._forecaster

    def _clockwork(self, dataset: str) -> "Clockwork | None":
        """Return the schedule of a dataset's snapshots; None if it has none, or the dataset is gone."""
        from dteg.snapshots.taking import clockwork_of

        try:
            return clockwork_of(self._datasets().get(dataset).definition)
        except (NotFoundError, ConfigError):
            return None

    def _datasets(self) -> "Datasets":
        from dteg.datasets.service import Datasets

        return Datasets(self.project, self._clock)


def _key(forecast: Forecast) -> tuple[str, ...]:
    return (forecast.metric, *by_texts(forecast.by))


def _is_same(old: Forecast, prepared: "Prepared") -> bool:
    """Whether a forecast knows all points that there are, and looks as far ahead."""
    same = (old.last_slot, old.observations, old.horizon) == (
        prepared.last,
        prepared.observations,
        len(prepared.slots),
    )
    return same and bool(old.points)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
