"""What somebody might try: each attack is refused, or ends up as a harmless name or text. A canary shows that."""

import time

import psycopg
import pytest

from dteg.core.errors import ConfigError
from dteg.datasets.catalogue import unicode_collation
from dteg.datasets.compiler import compile_dataset
from dteg.datasets.spec import spec_of
from tests.integration.datasets.compile_world import make_world

SOURCES = {
    "o": {"source": "shop", "table": "orders"},
    "c": {"source": "crm", "schema": "public", "table": "customers"},
}
JOINS = [{"left": "o", "right": "c", "on": [["o.customer_id", "c.id"]]}]
DROP = "'; DROP TABLE public.canary; --"
# In formulas: (what, whether it may compile to something harmless).
FORMULAS = [
    "pg_sleep(10)", "pg_catalog.pg_sleep(10)", '"pg_sleep"(10)', "PG_SLEEP (10)", "1; DROP TABLE public.canary",
    "1); DROP TABLE public.canary; --", "(SELECT 1)", "(TABLE public.canary)", "(VALUES (1))", "amount IN (SELECT 1)",
    "amount = ANY (SELECT 1)", "amount = ANY(ARRAY[1])", "EXISTS (SELECT 1)", "ARRAY(SELECT 1)", "ARRAY[1, 2]",
    "pg_read_file('/etc/passwd')", "pg_read_binary_file('/etc/passwd')", "pg_ls_dir('/')", "lo_import('/etc/passwd')",
    "lo_export(1, '/tmp/x')", "dblink('host=evil', 'select 1')", "dblink_exec('x', 'drop table canary')",
    "query_to_xml('select 1', true, true, '')", "table_to_xml('canary', true, true, '')", "database_to_xml(true, true, '')",
    "set_config('role', 'postgres', false)", "current_setting('data_directory')", "current_user", "session_user",
    "current_database()", "version()", "inet_server_addr()", "pg_terminate_backend(1)", "pg_reload_conf()",
    "nextval('x')", "setval('x', 1)", "txid_current()", "pg_advisory_lock(1)", "generate_series(1, 1000000000)",
    "repeat('x', 1000000000)", "lpad('x', 1000000000)", "xmlparse(document '<x/>')", "to_regclass('canary')",
    "amount::regclass", "'canary'::regclass", "cast('canary' as regclass)", "cast(amount as my_type)", "$1", ":value", "%s",
    "@variable", "amount OPERATOR(pg_catalog.+) 1", 'amount COLLATE "C"', 'note COLLATE "x"; DROP TABLE public.canary',
    'U&"\\0061mount"', "E'\\' ; DROP TABLE public.canary; --'", "$$x$$", "$a$; DROP TABLE public.canary; $a$",
    "amount /* x */ + 1", "amount -- x", "amount # 1", "ROW(1, 2)", "(o).amount", "o.*", "*", "count(*)", "sum(amount)",
    "sum(amount) OVER ()", "row_number()", "amount[1]", "interval '1 day'", "date 'now'", "timestamp 'infinity'",
    "amount BETWEEN SYMMETRIC 1 AND 2", "amount IS DISTINCT FROM 1", "note SIMILAR TO 'x'", "note ~ '(a+)+$'",
    "note ILIKE 'x'", "NOT", "CASE END", "if(true, 1", "'unclosed", '"unclosed', "round(amount, 2)) FROM public.canary --",
    "coalesce(amount, (SELECT count(*) FROM public.canary))", "public.canary.sings", "canary.sings", "other.amount",
    "pg_catalog.now()", "power(power(power(9, 10), 10), 10)", "replace(replace('aaaaaaaaaa', 'a', note), 'a', note)",
    "(" * 3_000 + "1" + ")" * 3_000, "-" * 1_999 + "1", "1" * 1_999, "not " * 400 + "ok", "amount" + " + amount" * 200,
    "note || E'\\x27' || '", "note = '' OR 1=1 --", "\x00", "amount\x00; DROP", "\uff41mount", "amount\uff1b DROP TABLE canary",
    "'" + DROP, "''" + DROP, "concat('" + DROP.replace("'", "''") + "', note)", "like('a', 'b')", "note LIKE 'x\\'",
    "cast(note as text); DROP TABLE public.canary", 'cast(note as "text")', "cast(note as decimal(10,2)[])",
    "cast(note as decimal(1000,2))", "cast(note as decimal(2,10))", "extract(epoch from paid)", "extract('year' from paid)",
    "date_trunc('year; DROP', paid)", "format_time(paid, 'YYYY''; DROP TABLE public.canary; --')", "greatest()", "now(1)",
]  # fmt: skip
NAMES = [
    '"; DROP TABLE public.canary; --', "'; DROP TABLE public.canary; --", 'a" FROM public.canary; --', 'x""y', "a--b", "/* a */", "a;b",
    "$1", "%s", "{0}", "\\", "select", "NULL", "tableoid", "xmin", " a", "a ", "", "x" * 64, "\u044f" * 40, "a\x00b", "a\nb", "a\u202eb",
    "pg_sleep(10)", "*", "result", "lookup 1", "o", "1", "\ud800",
]  # fmt: skip
REFERENCES = [
    "o.amount; DROP TABLE public.canary", 'o."amount"', "o.amount::regclass", "public.canary.sings", "(SELECT 1)", "o.*",
    "o.id, pg_sleep(10)", "pg_sleep(10)", "c.id) --", "o.amount\x00", "o", "o.", ".amount", "o..amount", "O.amount", "*",
    'we"ird; DROP TABLE canary;--', "Ünïcode %s",
]  # fmt: skip
TEXTS = [
    DROP, "\\", "\\'", "\\'; DROP TABLE public.canary; --", "''", "%s", "$1", "{relative: -1d}", "E'\\x27'", "U&'\\0027'", "%' OR '1'='1",
    "\x00", "\ud800", "now()", "NULL", "x" * 5_000, "'||(SELECT 1)||'", "\u2019; DROP TABLE public.canary", "\x1a", "a\nb;c",
]  # fmt: skip
SPEC_PARTS = [
    {"dataset": 'x"; DROP TABLE public.canary'},
    {"dataset": "x" * 42},
    {"sources": {'o"; DROP TABLE public.canary; --': SOURCES["o"]}},
    {"sources": {"o": {"source": "shop", "table": "orders; DROP TABLE public.canary"}}},
    {"sources": {"o": {"source": "shop", "schema": 'x"."y', "table": "orders"}}},
    {"sources": {"o": {"source": "shop; DROP", "table": "orders"}}},
    {"sources": {"o": {"source": "shop", "table": "orders", "sql": "select 1"}}},
    {"sources": {"o": {"dictionary": "x'; DROP TABLE public.canary"}}},
    {"sources": {"o": {"dataset": "../../etc/passwd"}}},
    {"sources": {"o": "public.canary"}},
    {"sql": "DROP TABLE public.canary"},
    {"text_compare": "exact; DROP"},
    {"limit": "1; DROP TABLE public.canary"},
    {"limit": -1},
    {"order_by": [{"col": "id; DROP TABLE public.canary"}]},
    {"order_by": [{"col": "id", "descending": "; DROP"}]},
    {"columns": [{"name": "id", "from": "o.id", "type": "integer; DROP TABLE public.canary"}]},
    {"columns": [{"name": "id", "from": "o.id", "type": "regclass"}]},
    {"columns": [{"name": "id", "from": "o.id", "type": "text[]"}]},
    {"columns": [{"name": "a", "lookup": {"dictionary": "order_status; DROP", "key": "o.status", "value": "title"}}]},
    {"columns": [{"name": "a", "lookup": {"dictionary": "order_status", "key": "o.status", "value": 'title" FROM x'}}]},
    {"columns": [{"name": "a", "lookup": {"dictionary": "order_status", "key": "o.status", "value": "title", "default": DROP}}]},
    {"joins": [{"left": "o", "right": "c", "on": [["o.id = 1 OR 1", "c.id"]]}]},
    {"joins": [{"left": "o", "right": "c", "type": "cross", "on": [["o.customer_id", "c.id"]]}]},
    {"joins": [{"left": "o", "right": "c", "on": "1 = 1"}]},
    {"filters": "1 = 1 OR pg_sleep(10)"},
    {"filters": {"sql": "1 = 1"}},
    {"filters": {"col": "o.id", "op": "= 1; DROP TABLE public.canary; --", "value": 1}},
    {"filters": {"col": "o.placed", "op": ">", "value": {"relative": "-90d'; DROP TABLE public.canary; --"}}},
    {"filters": {"col": "o.placed", "op": ">", "value": {"relative": "-99999y"}}},
    {"filters": {"col": "o.placed", "op": ">", "value": {"relative": "-1d", "timezone": "UTC'; DROP TABLE public.canary"}}},
    {"filters": {"col": "o.placed", "op": ">", "value": {"relative": "-1d", "start_of": "day'; DROP"}}},
    {"filters": {"col": "o.placed", "op": ">", "value": {"col": "pg_sleep(10)"}}},
    {"filters": {"col": "o.paid", "op": ">", "value": "now'; DROP TABLE public.canary; --"}},
    {"filters": {"col": "o.paid", "op": ">", "value": "infinity"}},
    {"filters": {"col": "o.due", "op": ">", "value": "today"}},
    {"group_by": ["o.status; DROP"], "measures": [{"name": "n", "fn": "count"}]},
    {"group_by": [{"name": "d", "from": "o.paid", "grain": "day'; DROP"}]},
    {"group_by": [{"name": "d", "from": "o.paid", "grain": "day", "timezone": "x'; DROP TABLE public.canary"}]},
    {"measures": [{"name": "n", "fn": "pg_sleep", "of": "o.id"}]},
    {"measures": [{"name": "n", "fn": "sum(x); DROP", "of": "o.id"}]},
    {"measures": [{"name": "n", "fn": "count"}, {"name": "m", "formula": "n); DROP TABLE public.canary; --"}]},
    {"measures": [{"name": "n", "fn": "count"}], "having": {"col": "n > 0; DROP", "op": ">", "value": 0}},
    {"cache": {"key": ['id"; DROP']}},
    {"cache": {"schedule": "* * * * *; rm -rf /"}},
    {"cache": {"deadline": "1h; DROP"}},
    {"checks": [{"unique": ["id; DROP"]}]},
    {"checks": [{"sql": "DROP TABLE public.canary"}]},
    {"snapshot": {"schedule": "0 * * * *", "metrics": ["id; DROP"]}},
]  # fmt: skip


def base(**changes):
    return {"dataset": "attack", "sources": SOURCES, "joins": JOINS, **changes}


ATTACKS = {
    **{f"formula {n}": base(columns=[{"name": "x", "formula": each}]) for n, each in enumerate(FORMULAS)},
    **{f"name {n}": base(columns=[{"name": each, "from": "o.id"}], order_by=[{"col": each}]) for n, each in enumerate(NAMES)},
    **{f"group {n}": base(group_by=[{"name": each, "from": "o.id"}], measures=[{"name": "n", "fn": "count"}]) for n, each in enumerate(NAMES)},
    **{f"reference {n}": base(columns=[{"name": "x", "from": each}]) for n, each in enumerate(REFERENCES)},
    **{f"filter column {n}": base(filters={"col": each, "op": "not_null"}) for n, each in enumerate(REFERENCES)},
    **{f"text {n}": base(filters={"col": "o.note", "op": "=", "value": each}) for n, each in enumerate(TEXTS)},
    **{f"piece {n}": base(filters={"col": "o.note", "op": "contains", "value": each}) for n, each in enumerate(TEXTS)},
    **{f"pattern {n}": base(filters={"col": "o.note", "op": "like", "value": each}, text_compare="ci") for n, each in enumerate(TEXTS)},
    **{f"list {n}": base(filters={"col": "o.status", "op": "in", "value": [each]}) for n, each in enumerate(TEXTS)},
    **{f"part {n}": base(**each) for n, each in enumerate(SPEC_PARTS)},
}  # fmt: skip
# Signs before a number, doubled denials, and texts that look like SQL.
HARMLESS_FORMULAS = [
    "-" * 1_999 + "1",
    "not " * 400 + "ok",
    "concat('" + DROP.replace("'", "''") + "', note)",
]
# Attacks that are valid: texts of odd letters, odd names, and columns that are called so.
HARMLESS = 0.45


@pytest.fixture(scope="module")
def world(_postgres_database):
    from dteg.testing.servers import database

    with database(_postgres_database) as url, psycopg.connect(url, autocommit=True) as connection:
        catalogue = make_world(connection)
        catalogue._letters = unicode_collation(connection)
        connection.execute("SET statement_timeout = '2s'")
        yield connection, catalogue


STATE = """
SELECT (SELECT count(*) FROM public.canary WHERE sings),
    (SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text IN ('public', 'src_shop', 'src_crm', 'dict', 'ds')),
    (SELECT count(*) FROM pg_roles), (SELECT count(*) FROM pg_proc), current_user, current_setting('search_path')
"""


def attempt(world, value) -> bool:
    """Try an attack as a superuser who may write, all the way; say whether it compiled."""
    connection, catalogue = world
    try:
        compiled = compile_dataset(spec_of(value), catalogue)
    except ConfigError:
        return False
    connection.execute(compiled.sql.encode()).fetchall()
    return True


def test_the_corpus_is_large_and_different():
    assert len(ATTACKS) > 60
    assert len({repr(each) for each in ATTACKS.values()}) == len(ATTACKS)


def test_no_attack_does_anything(world):
    connection, _ = world
    before = connection.execute(STATE).fetchone()
    done, slowest_s = [], 0.0

    for name, value in ATTACKS.items():
        began = time.monotonic()
        done += [name] if attempt(world, value) else []
        slowest_s = max(slowest_s, time.monotonic() - began)

    assert connection.execute(STATE).fetchone() == before
    assert before[0] == 1
    assert slowest_s < 9  # nobody slept ten seconds, or wrote a billion letters
    assert len(done) < len(ATTACKS) * HARMLESS
    refused = {name for name in ATTACKS if name not in done}
    assert {"formula 0", "formula 4", "formula 6", "formula 15", "part 25", "part 28"} <= refused


def test_only_these_formulas_are_formulas(world):
    taken = [each for each in FORMULAS if attempt(world, base(columns=[{"name": "x", "formula": each}]))]

    assert taken == HARMLESS_FORMULAS


def test_a_text_that_looks_like_sql_stays_a_text(world):
    connection, catalogue = world
    for text in TEXTS[:11]:
        value = base(columns=[{"name": "x", "formula": f"'{text.replace(chr(39), chr(39) * 2)}'"}], limit=1)
        compiled = compile_dataset(spec_of(value), catalogue)

        assert connection.execute(compiled.sql.encode()).fetchall() == [(text,)]


def test_a_name_that_looks_like_sql_stays_a_name(world):
    connection, catalogue = world
    for name in NAMES[:11]:
        compiled = compile_dataset(
            spec_of(base(columns=[{"name": name, "from": "o.id"}], limit=1)), catalogue
        )
        cursor = connection.execute(compiled.sql.encode())

        assert [column.name for column in cursor.description] == [name]
