"""A project whose warehouse has the dataset `sales`."""

import pytest

from tests.integration.charts.sales import make_sales


@pytest.fixture
def sales_project(studio_project, postgres_url):
    """A project with 400 sales in `ds.sales`."""
    make_sales(postgres_url)
    return studio_project
