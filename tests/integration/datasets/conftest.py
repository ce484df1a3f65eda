"""A warehouse with the tables of a shop, and datasets over them."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from dteg.core.project import Project
from dteg.datasets.service import Datasets
from dteg.datasets.spec import DatasetSpec, parse_spec

TABLES = """
CREATE SCHEMA raw;
CREATE TABLE raw.customers (id integer PRIMARY KEY, name text NOT NULL, country text, email text);
CREATE TABLE raw.orders (
    id integer PRIMARY KEY, customer_id integer REFERENCES raw.customers, amount numeric(12,2) NOT NULL,
    created_at timestamptz NOT NULL
);
INSERT INTO raw.customers SELECT i, 'name ' || i, CASE i % 3 WHEN 0 THEN 'KZ' WHEN 1 THEN 'UZ' ELSE 'KG' END,
    CASE WHEN i % 2 = 0 THEN i || '@example.com' END FROM generate_series(1, 30) AS i;
INSERT INTO raw.orders SELECT i, 1 + i % 30, i * 1.5, now() - make_interval(hours => i)
    FROM generate_series(1, 300) AS i;
"""
SALES = """
dataset: sales
title: Sales
sources:
  o: {source: warehouse, schema: raw, table: orders}
  c: {source: warehouse, schema: raw, table: customers}
joins:
  - {left: o, right: c, type: left, on: [[o.customer_id, c.id]], expect: many_to_one}
columns:
  - {name: id, from: o.id}
  - {name: country, from: c.country}
  - {name: amount, from: o.amount}
  - {name: created_at, from: o.created_at}
cache: {key: [id], max_age: 1h, deadline: 30s}
checks: [{not_empty: true}, {unique: [id]}]
"""
SUMS = """
dataset: sums
sources:
  s: {dataset: sales}
group_by: [country]
measures:
  - {name: total, fn: sum, of: amount}
"""
Run = Callable[..., list[Any]]


@pytest.fixture
def shop(studio_project: Project, postgres_url: str) -> Project:
    """A project whose warehouse has customers and orders."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(TABLES)
    return studio_project


@pytest.fixture
def run(postgres_url: str) -> Run:
    """Run a statement in the warehouse and return its rows."""

    def execute(statement: str, *values: Any) -> list[Any]:
        with psycopg.connect(postgres_url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    return execute


@pytest.fixture
def datasets(shop: Project) -> Datasets:
    return Datasets.of(shop)


@pytest.fixture
def sales(datasets: Datasets) -> Datasets:
    """The datasets, with `sales` saved and refreshed once."""
    datasets.save(parse_spec(SALES))
    datasets.refresh("sales")
    return datasets


def changed(text: str, *changes: tuple[str, str]) -> DatasetSpec:
    """Return a definition with some of its text replaced."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return parse_spec(text)
