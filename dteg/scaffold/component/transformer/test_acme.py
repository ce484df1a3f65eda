import psycopg

from dteg.testing import make_context
from dteg.testing.contract import contract_tests

from .acme import AcmeConfig, AcmeTransformer

CONFIG = {"source": "raw.visits", "target": "raw.visits_by_page", "group_by": ["page"]}

# Everything that each transformer owes: SQL that follows from the config, and can run in one transaction.
TestAcme = contract_tests(
    AcmeTransformer,
    config=CONFIG,
    bad_config=[{"group_by": []}, {"source": "a.b.c"}, {"target": ""}],
)


def make(tmp_path, **changes):
    return AcmeTransformer(AcmeConfig(**{**CONFIG, **changes}), make_context(tmp_path))


def test_names_are_quoted(tmp_path):
    text = make(tmp_path, source='raw.vis"its', group_by=["page; drop table x"]).sql()
    assert '"raw"."vis""its"' in text
    assert '"page; drop table x"' in text


def test_it_counts_and_can_be_repeated(tmp_path, postgres_url):
    """Needs PostgreSQL: the one in DTEG_TEST_POSTGRES_URL, or the embedded one; says so where there is none."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("create schema raw")
        connection.execute("create table raw.visits (page text)")
        connection.execute("insert into raw.visits values ('a'), ('b'), ('a')")
        for _ in range(2):
            with connection.transaction():
                connection.execute(make(tmp_path).sql().encode())
        rows = connection.execute("select page, row_count from raw.visits_by_page order by page").fetchall()
    assert rows == [("a", 2), ("b", 1)]
