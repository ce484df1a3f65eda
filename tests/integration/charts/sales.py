"""A dataset as charts see it: a stable view of the schema `ds`, readable by the role of readers."""

import psycopg

from dteg.sources.roles import READER, ensure_roles

SALES = """
CREATE TABLE ds_cache.sales__g1 AS
SELECT
    n AS id,
    (ARRAY['DE', 'FR', 'KZ', NULL])[1 + n % 4] AS country,
    (ARRAY['new', 'paid'])[1 + n % 2] AS status,
    timestamptz '2026-01-01 00:00+00' + n * interval '6 hours' AS ordered_at,
    (date '2026-01-01' + n / 4) AS day,
    (n % 10)::numeric(12, 2) AS amount,
    n % 3 = 0 AS is_late,
    'we"ird' AS "odd "" name; --"
FROM generate_series(0, 399) AS n;
CREATE VIEW ds.sales AS SELECT * FROM ds_cache.sales__g1;
"""


def make_sales(url, rows=SALES):
    """Make the dataset `sales`: 400 rows, four a day from 1 January 2026 on."""
    with psycopg.connect(url, autocommit=True) as connection:
        ensure_roles(connection)
        connection.execute(rows)
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA ds TO {READER}")


def make_spec(chart="by_country", **values):
    """Return the values of a chart of `sales`: bars of the sum of amounts by country."""
    usual = {
        "chart": chart,
        "title": "Sales by country",
        "source": {"dataset": "sales"},
        "type": "bar",
        "x": {"field": "country"},
        "y": [{"fn": "sum", "field": "amount"}],
    }
    return {name: value for name, value in {**usual, **values}.items() if value is not None}


SQUARES = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"iso": name, "title": name.lower()},
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x, 0], [x + 10, 0], [x + 10, 10], [x, 10], [x, 0]]],
            },
        }
        for name, x in (("DE", 0), ("FR", 10), ("XX", 20))
    ],
}
