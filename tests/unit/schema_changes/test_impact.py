"""Who works with a table: by pipeline files and dbt models, without a server."""

import json
import os
import time

import pytest

from dteg.core.identifiers import TableName
from dteg.core.project import Project
from dteg.schema_changes.breaks import is_wider
from dteg.schema_changes.impact import Impact, uses_of
from dteg.schema_changes.sql_text import names_column, names_table, takes_all_columns

T = TableName("raw", "t")


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", "postgresql://me@db.test:5433/warehouse")
    # Datasets are asked of the warehouse: tests/integration/datasets.
    monkeypatch.setattr("dteg.schema_changes.impact.readers", lambda url: [])
    (tmp_path / "pipelines").mkdir()
    return Project(tmp_path)


def write(project, name, body):
    (project.pipelines_dir / f"{name}.yaml").write_text(f"pipeline:\n  name: {name}\n{body}")


def found(project, table=T, database=None):
    return [(use.kind, use.name, use.role, use.why) for use in uses_of(project, table, database)]


def test_pipelines_that_load_and_extract(project):
    write(
        project,
        "loads",
        "  extract: {type: files, config: {path: a.csv}}\n  load: {type: postgres, config: {table: raw.t}}\n",
    )
    write(
        project,
        "reads",
        "  depends_on: [raw.t]\n  extract: {type: postgres, config: {table: raw.t}}\n  load: {type: postgres, config: {table: raw.u}}\n",
    )
    write(
        project,
        "asks",
        "  extract: {type: postgres, config: {query: 'select * from raw.t', stream: s}}\n  load: {type: postgres, config: {table: raw.v}}\n",
    )
    write(
        project,
        "other",
        "  extract: {type: postgres, config: {table: raw.tt}}\n  load: {type: postgres, config: {table: raw.w}}\n",
    )
    assert found(project) == [
        ("pipeline", "asks", "reads", "its query names it"),
        ("pipeline", "loads", "writes", "loads into it"),
        ("pipeline", "reads", "reads", "extracts from it, depends_on names it"),
    ]


def test_rules_and_files_of_sql(project):
    (project.root / "sums.sql").write_text('insert into marts.s select 1 from "raw"."t"; -- raw.u\n')
    write(project, "sums", "  transform: {type: sql, file: sums.sql}\n")
    write(
        project, "checked",
        "  extract: {type: files, config: {path: a.csv}}\n  load: {type: postgres, config: {table: raw.x}}\n"
        "  quality: {validation_rules: [{type: record_count_match, against: raw.t}]}\n",
    )  # fmt: skip
    assert found(project) == [
        ("pipeline", "checked", "reads", "a rule compares with it"),
        ("pipeline", "sums", "reads", "its sums.sql names it"),
    ]
    assert found(project, TableName("raw", "u")) == []  # only in a comment


@pytest.mark.parametrize(
    ("url", "database", "is_found"),
    [
        ("postgresql://you@db.test:5433/warehouse", None, True),
        ("postgresql://you@db.test:5433/shop", None, False),
        ("postgresql://you@db.test:5433/shop", "shop", True),
        ("postgresql://you@db.test:5432/warehouse", None, False),
        ("postgresql://you@elsewhere.test:5433/warehouse", None, False),
        ("secret://env/NOT_SET_ANYWHERE", None, False),
    ],
)
def test_only_connectors_of_the_own_server_count(project, url, database, is_found):
    write(
        project,
        "far",
        f"  extract: {{type: postgres, config: {{table: raw.t, url: '{url}'}}}}\n  load: {{type: postgres, config: {{table: raw.u}}}}\n",
    )
    assert bool(found(project, database=database)) is is_found


def test_a_broken_file_counts_when_it_names_the_table(project):
    write(
        project,
        "broken",
        "  extract: {type: nothing_known}\n  load: {type: postgres, config: {table: raw.t}}\n",
    )
    assert found(project) == [("pipeline", "broken", "reads", "names it, in a file that has an error")]
    assert found(project, TableName("raw", "u")) == []


@pytest.fixture
def dbt(project):
    folder = project.dbt_dir / "models" / "staging"
    folder.mkdir(parents=True)
    (project.dbt_dir / "dbt_project.yml").write_text("name: p\nmodels: {p: {staging: {+schema: staging}}}\n")
    (folder / "s.yml").write_text(
        "sources: [{name: src, schema: raw, tables: [{name: things, identifier: t}]}]\n"
    )
    (folder / "stg.sql").write_text("select * from {{ source('src', 'things') }}\n")
    (folder / "next.sql").write_text("select a, b from {{ ref('stg') }}\n")
    (folder / "named.sql").write_text("{{ config(schema='own', alias='other') }} select c from raw.t\n")
    (folder / "apart.sql").write_text("select a from {{ ref('next') }}\n")
    return project


READERS = [
    ("model", "named", "reads", "reads it"),
    ("model", "next", "reads", "reads it through stg"),
    ("model", "stg", "reads", "reads it"),
]


def test_models_from_the_files(dbt):
    assert found(dbt) == READERS
    assert found(dbt, TableName("staging", "next"))[1:] == [
        ("model", "next", "writes", "dbt makes it from this model")
    ]
    assert found(dbt, TableName("own", "other")) == [
        ("model", "named", "writes", "dbt makes it from this model")
    ]
    assert found(dbt, database="elsewhere") == []
    needs = {each.use.name: (each.needs("a"), each.needs("c")) for each in Impact(dbt).of(T)}
    assert needs == {"named": (False, True), "next": (True, False), "stg": (False, False)}


def test_models_from_a_manifest_that_is_newer_than_the_files(dbt):
    node = {
        "resource_type": "model", "name": "only_in_manifest", "schema": "m", "alias": "made",
        "original_file_path": "models/x.sql", "raw_code": "select 1", "depends_on": {"nodes": ["source.p.src.things"]},
    }  # fmt: skip
    source = {"resource_type": "source", "schema": "raw", "identifier": "t", "name": "things"}
    target = dbt.state_dir / "dbt" / "target"
    target.mkdir(parents=True)
    manifest = target / "manifest.json"
    manifest.write_text(
        json.dumps({"nodes": {"model.p.x": node}, "sources": {"source.p.src.things": source}})
    )
    later = time.time() + 10
    os.utime(manifest, (later, later))
    assert found(dbt) == [("model", "only_in_manifest", "reads", "reads it")]
    os.utime(manifest, (1, 1))
    assert found(dbt) == READERS
    manifest.write_text("{half a manif")
    os.utime(manifest, (later, later))
    assert found(dbt) == READERS


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("select * from raw.t", True),
        ('select * from "raw"."t" as x', True),
        ("SELECT * FROM RAW . T", True),
        ("select * from raw.tt", False),
        ("select * from xraw.t", False),
        ("select 'raw.t' -- raw.t\n /* raw.t */", False),
        ("select * from t", False),
    ],
)
def test_a_table_is_found_in_sql(text, is_named):
    assert names_table(text, "raw", "t") is is_named


def test_a_table_of_public_is_found_by_its_name_alone():
    assert names_table("select * from t", "public", "t")
    assert names_table("select * from public.t", "public", "t")
    assert not names_table("select t from u", "public", "t")


@pytest.mark.parametrize(
    ("text", "is_named"),
    [
        ("select a from t", True),
        ('select x."a" from t', True),
        ("select ab, b_a from t", False),
        ("select 'a' from t -- a", False),
        ("{# a #} select $$ a $$", False),
    ],
)
def test_a_column_is_found_in_sql(text, is_named):
    assert names_column(text, "a") is is_named


@pytest.mark.parametrize(
    ("text", "takes_all"),
    [
        ("select * from t", True),
        ("select t.*, 1 from t", True),
        ("select a, * from t", True),
        ("select count(*) from t", False),
        ("select a * b from t", False),
        ("select a from t", False),
        ("select distinct *", True),
        ("with x as (select * from t) select a from x", True),
    ],
)
def test_a_star_is_found_in_sql(text, takes_all):
    assert takes_all_columns(text) is takes_all


@pytest.mark.parametrize(
    ("old", "new", "wider"),
    [
        ("integer", "bigint", True),
        ("bigint", "integer", False),
        ("character varying(10)", "character varying(20)", True),
        ("character varying(20)", "character varying(10)", False),
        ("character varying(20)", "text", True),
        ("text", "character varying(20)", False),
        ("character varying", "character varying(10)", False),
        ("integer", "text", False),
        ("integer", "integer", True),
        ("numeric(5,2)", "numeric", False),
        ("bigint", "numeric", True),
    ],
)
def test_a_type_that_holds_all_values_of_another_breaks_nothing(old, new, wider):
    assert is_wider(old, new) is wider
