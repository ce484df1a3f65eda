"""Tables of every kind of type, in the shape that sources have in a warehouse, and their catalogue."""

import psycopg

from dteg.datasets.catalogue import CatalogueColumn, CatalogueTable, MemoryCatalogue
from dteg.datasets.models import Dependency
from dteg.datasets.types import Family, type_of
from dteg.sources.models import Relation

TABLES = """
CREATE SCHEMA src_shop;
CREATE SCHEMA src_crm;
CREATE SCHEMA dict;
CREATE SCHEMA ds;
CREATE DOMAIN src_shop.exact_text AS text;
CREATE DOMAIN src_shop.exact_smallint AS smallint;
CREATE DOMAIN src_shop.exact_jsonb AS jsonb;
CREATE DOMAIN src_shop.exact_interval AS interval;
CREATE DOMAIN src_shop.exact_bytea AS bytea;
CREATE TABLE src_shop.orders (
    id bigint PRIMARY KEY, customer_id integer, amount numeric(12,2), qty smallint, price double precision, ratio real,
    status src_shop.exact_text, code character(5), placed timestamp, paid timestamptz, due date, ok boolean,
    note character varying(20), ref uuid, extra jsonb, tags text[], spent interval, at_time time, "select" text,
    "we""ird; DROP TABLE canary;--" text, "Ünïcode %s" integer,
    made_in src_shop.exact_smallint, meta src_shop.exact_jsonb, took src_shop.exact_interval, bits src_shop.exact_bytea
);
CREATE TABLE src_shop.items (order_id bigint, product text, pieces integer, each_price numeric(10,4));
CREATE TABLE src_crm.customers (
    id integer PRIMARY KEY, name text, country text, email character varying(100), vip boolean, born date, balance numeric
);
CREATE TABLE dict.order_status (code text PRIMARY KEY, title text, rank bigint, since date);
CREATE TABLE dict.levels (level bigint PRIMARY KEY, label text, active boolean);
CREATE VIEW ds.sales AS SELECT id AS sale, country, born AS day FROM src_crm.customers;
CREATE TABLE public.canary (sings boolean);
INSERT INTO public.canary VALUES (true);
INSERT INTO src_shop.orders (id, customer_id, amount, qty, price, status, code, placed, paid, due, ok, note)
SELECT n, n % 7, n * 1.5, n % 3, n / 4.0, CASE n % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'NEW' WHEN 2 THEN 'paid' END,
    'c' || n % 3, timestamp '2026-01-01' + n * interval '7 hours', timestamptz '2026-01-01 00:00Z' + n * interval '7 hours',
    date '2026-01-01' + n, n % 2 = 0, 'note ' || n
FROM generate_series(1, 40) AS n;
INSERT INTO src_shop.items SELECT n % 20 + 1, 'p' || n % 5, n % 4, n / 3.0 FROM generate_series(1, 60) AS n;
INSERT INTO src_crm.customers
SELECT n, 'Name ' || n, CASE n % 3 WHEN 0 THEN 'KZ' WHEN 1 THEN 'kz' END, 'a' || n || '@b.c', n % 2 = 0,
    date '1990-01-01' + n, n * 10
FROM generate_series(1, 6) AS n;
INSERT INTO dict.order_status VALUES ('new', 'New', 1, '2026-01-01'), ('NEW', 'NEW!', 2, NULL), ('paid', 'Paid', 3, NULL);
INSERT INTO dict.levels VALUES (1, 'low', true), (2, 'high', false);
"""
_COLUMNS = """
SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid), a.atttypmod), NOT a.attnotnull, t.typtype = 'd'
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = %s::regclass AND a.attnum > 0 ORDER BY a.attnum
"""
_KEYS = {
    "orders": ["id"],
    "customers": ["id"],
    "order_status": ["code"],
    "levels": ["level"],
    "sales": ["sale"],
}


def make_world(connection: psycopg.Connection, *, foreign: bool = False) -> MemoryCatalogue:
    """Make the tables, and return their catalogue; `foreign` says that the shop is no PostgreSQL."""
    connection.execute(TABLES)
    tables = {
        "shop/orders": ("src_shop", "orders", "source_table"),
        "shop/items": ("src_shop", "items", "source_table"),
        "crm/public.customers": ("src_crm", "customers", "source_table"),
        "dictionary order_status": ("dict", "order_status", "dictionary"),
        "dictionary levels": ("dict", "levels", "dictionary"),
        "dataset sales": ("ds", "sales", "dataset"),
    }
    return MemoryCatalogue(
        {
            key: _table(connection, *place, key=key, foreign=foreign and place[0] == "src_shop")
            for key, place in tables.items()
        }
    )


def _table(connection, schema, name, kind, *, key, foreign):
    rows = connection.execute(_COLUMNS, [f"{schema}.{name}"]).fetchall()
    columns = {
        column: CatalogueColumn(column, type_of(type_), nullable, exact=not is_domain, foreign=foreign)
        for column, type_, nullable, is_domain in rows
    }
    label = key.removeprefix(f"{kind} ") if kind != "source_table" else key
    keys = [frozenset(_KEYS[name])] if name in _KEYS else []
    return CatalogueTable(
        Relation(schema_=schema, name=name),
        columns,
        keys,
        dependency=Dependency(kind=kind, name=label),
        name=name,
    )


def families(catalogue: MemoryCatalogue, key: str) -> dict[str, Family]:
    """Return the family of each column of a table."""
    return {name: column.type.family for name, column in catalogue._tables[key].columns.items()}
