"""Whatever somebody describes: it is refused with a reason, or PostgreSQL takes its query and gives what was promised."""

import os

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from dteg.core.errors import ConfigError
from dteg.datasets.catalogue import unicode_collation
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.spec import dump_spec, spec_of
from dteg.testing.servers import database
from tests.integration.datasets.compile_strategies import specs
from tests.integration.datasets.compile_world import make_world

EXAMPLES = 5_000 if os.environ.get("DTEG_FAULTS") == "full" else 150
_TYPES = "SELECT format_type(oid, NULL) FROM unnest(%s::oid[]) WITH ORDINALITY AS t (oid, n) ORDER BY n"


@pytest.fixture(scope="module", params=["embedded", "embedded, other source", "Debian's PostgreSQL 15"])
def world(request):
    server = request.getfixturevalue(
        "_postgres_database" if request.param.startswith("embedded") else "debian_hub"
    )
    with database(server) as url, psycopg.connect(url, autocommit=True) as connection:
        catalogue = make_world(connection, foreign="other source" in request.param)
        catalogue._letters = unicode_collation(connection)
        yield connection, catalogue


def test_a_spec_is_refused_or_its_query_is_taken(world):
    connection, catalogue = world
    taken, refused = [], []

    @settings(
        max_examples=EXAMPLES, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, Phase.shrink],
    )  # fmt: skip
    @given(specs())
    def check(value):
        try:
            spec = spec_of(value)
            compiled = compile_dataset(spec, catalogue)
        except ConfigError as error:
            refused.append(error)
            return
        taken.append(value)
        assert dump_spec(spec_of(dump_spec(spec))) == dump_spec(spec)
        connection.execute(f"EXPLAIN {compiled.sql}".encode())
        cursor = connection.execute(f"SELECT * FROM ({compiled.sql}) AS r LIMIT 0".encode())
        oids = [column.type_code for column in cursor.description]
        types = [row[0] for row in connection.execute(_TYPES, [oids]).fetchall()]
        promised = [(column.name, column.type.split("(")[0]) for column in compiled.columns]
        assert [column.name for column in cursor.description] == [name for name, _ in promised]
        assert [_plain(each) for each in types] == [type_ for _, type_ in promised]

    check()

    assert all(error.problems and all(each.message.strip() for each in error.problems) for error in refused)
    assert len(taken) > EXAMPLES / 4  # otherwise the generator proves nothing


def _plain(type_: str) -> str:
    return "character" if type_ == "bpchar" else type_
