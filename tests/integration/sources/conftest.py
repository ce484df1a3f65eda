"""Sources of an empty project whose warehouse is an empty database; the relay is stopped at the end."""

import psycopg
import pytest

from dteg.core.control import close_kept
from dteg.core.project import Project
from dteg.sources.relaying import Relaying
from dteg.sources.service import Sources


def _project(tmp_path, monkeypatch, url):
    (tmp_path / "project" / "pipelines").mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("DTEG_POSTGRES_URL", url)
    monkeypatch.setenv("DTEG_HOME", str(tmp_path / "project"))
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    for name in ("DTEG_SOURCES_KEY", "DTEG_RELAY", "DTEG_STUDIO_URL", "DTEG_STUDIO_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Project(tmp_path / "project")


@pytest.fixture
def sources(postgres_url, tmp_path, monkeypatch):
    """`Sources` over the shared server."""
    project = _project(tmp_path, monkeypatch, postgres_url)
    yield Sources.of(project)
    Relaying(project).stop()


@pytest.fixture
def debian_sources(debian_hub_database, tmp_path, monkeypatch):
    """`Sources` over Debian's PostgreSQL 15, which has mysql_fdw."""
    project = _project(tmp_path, monkeypatch, debian_hub_database)
    yield Sources.of(project)
    Relaying(project).stop()
    close_kept()  # the database is dropped


@pytest.fixture
def project_over(tmp_path, monkeypatch):
    """Return a function that makes a project over a warehouse."""
    return lambda url: _project(tmp_path, monkeypatch, url)


@pytest.fixture
def hub(sources):
    """A connection to the warehouse."""
    with psycopg.connect(sources.project.warehouse_url(), autocommit=True) as connection:
        yield connection


@pytest.fixture
def crm(postgres_tcp_database):
    """URL of a database with a few tables, on a server that asks for a password."""
    with psycopg.connect(postgres_tcp_database, autocommit=True) as connection:
        connection.execute(_CRM)
    return postgres_tcp_database


_CRM = """
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE DOMAIN email AS varchar(100) NOT NULL;
CREATE TABLE customers (id int PRIMARY KEY, name text UNIQUE, mail email, mood mood, tags text[]);
COMMENT ON TABLE customers IS 'Who buys';
COMMENT ON COLUMN customers.mail IS 'Where to write';
CREATE TABLE orders (id int PRIMARY KEY, customer_id int REFERENCES customers, total numeric(12,2), at timestamptz);
CREATE SCHEMA sales;
CREATE TABLE sales.orders (id int);
CREATE TABLE "we""ird; DROP" ("a""b" int, "%s" text);
CREATE VIEW big_orders AS SELECT * FROM orders WHERE total > 50;
INSERT INTO customers SELECT n, 'name ' || n, n || '@example.org', 'glad', '{a,b}' FROM generate_series(1, 120) n;
INSERT INTO orders SELECT n, n, n, '2026-01-01 12:00+00' FROM generate_series(1, 120) n;
INSERT INTO "we""ird; DROP" VALUES (1, 'x');
ANALYZE;
"""
