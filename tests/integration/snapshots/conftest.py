"""A dataset over a table of the warehouse, and a clock that the test moves."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from dteg.datasets.service import Datasets
from dteg.datasets.spec import DatasetSpec
from dteg.snapshots.service import Snapshots

SPEC = {
    "dataset": "sales",
    "sources": {"o": {"source": "warehouse", "schema": "public", "table": "orders"}},
    "group_by": [{"name": "country", "from": "o.country"}],
    "measures": [
        {"name": "revenue", "fn": "sum", "of": "o.amount"},
        {"name": "buyers", "fn": "count_distinct", "of": "o.customer"},
    ],
    "cache": {"max_age": "2h"},
    "snapshot": {"schedule": "0 * * * *", "by": ["country"]},
}


class Shop:
    """A project with a table of orders, the dataset `sales` over it, and a clock.

    Attributes:
        project: The project.
        now: What its clock shows.
    """

    def __init__(self, project):
        self.project = project
        # In the future, so that a generation of now is always before it.
        self.now = datetime.now(UTC).replace(minute=5, second=0, microsecond=0) + timedelta(hours=1)
        self.datasets = Datasets(project, lambda: self.now)
        self.snapshots = Snapshots(project, lambda: self.now)

    def run(self, statement, *values):
        with psycopg.connect(self.project.warehouse_url(), autocommit=True) as connection:
            done = connection.execute(statement, values)
            return done.fetchall() if done.description else []

    def save(self, **changes):
        return self.datasets.save(DatasetSpec.model_validate({**SPEC, **changes}), replace=True)

    def refresh(self):
        """Build the rows anew, as of the clock of the shop."""
        generation = self.datasets.refresh("sales")
        self.run(
            "UPDATE _dteg.dataset_generations SET started_at = %s, finished_at = %s, published_at = %s, data_as_of = %s"
            " WHERE dataset = 'sales' AND n = %s",
            *[self.now] * 4, generation.n,
        )  # fmt: skip
        return generation

    @property
    def slot(self):
        return self.now.replace(minute=0)

    def later(self, **span):
        self.now += timedelta(**span)


@pytest.fixture(scope="session")
def models():
    """The process that forecasts, one for all tests: its start costs seconds. Seasonally naive where there are no models."""
    from dteg.snapshots.forecasting.forecaster import Forecaster, find_python

    with Forecaster(find_python()) as made:
        yield made


@pytest.fixture
def shop(studio_project, models):
    made = Shop(studio_project)
    made.snapshots._forecaster = models
    made.run("CREATE TABLE public.orders (country text, customer int, amount numeric(12,2))")
    made.run(
        "INSERT INTO public.orders VALUES ('KZ', 1, 10), ('KZ', 2, 20), ('KZ', 2, 5), ('DE', 1, 7), (NULL, 3, 1)"
    )
    return made


@pytest.fixture
def sales(shop):
    """The shop with rows."""
    shop.save()
    shop.refresh()
    return shop
