"""Every value arrives as it was, or is refused by name; never changed in silence."""

import pytest

from dteg.core.errors import PermanentError

TEXTS = [
    None, "", " ", "NULL", "null", "\\N", "\\.", "a\n\\.\nb", "\\", "\\\\", '"', '""', '","', "'", "a,b", "a\tb", "line\nline", "cr\rcr",
    "crlf\r\nend", "\n", "\x01\x1f\x7f", "ü한😀𝄞", "\u202eright", "e\u0301", "\ufeff", "{}", "{{ ds }}", "%s %(x)s %%", "$1", "--", "; DROP TABLE raw.t",
    "x" * 100_000,
]  # fmt: skip


def test_texts_arrive_as_they_were(warehouse):
    rows = [{"id": number, "name": text} for number, text in enumerate(TEXTS)]
    types = {"id": "bigint", "name": "text"}
    for table, step in [
        ("raw.a", {"write": "replace"}),
        ("raw.b", {"write": "merge", "primary_key": ["id"]}),
    ]:
        warehouse.load(rows, types=types, table=table, batch_rows=5, **step)
        assert [name for (name,) in warehouse.sql(f"SELECT name FROM {table} ORDER BY id")] == TEXTS


@pytest.mark.parametrize("decoded", [False, True], ids=["relayed", "decoded"])
def test_texts_go_from_table_to_table_as_they_were(warehouse, decoded):
    warehouse.sql("CREATE TABLE s (id int, name text)")
    with warehouse.connection.cursor() as cursor:
        cursor.executemany("INSERT INTO s VALUES (%s, %s)", list(enumerate(TEXTS)))
    warehouse.copy("public.s", "raw.t", decoded=decoded)
    assert [name for (name,) in warehouse.sql("SELECT name FROM raw.t ORDER BY id")] == TEXTS


def test_a_table_of_one_column_keeps_empty_and_missing_rows(warehouse):
    warehouse.load([{"a": None}, {"a": ""}, {"a": None}], types={"a": "text"})
    assert warehouse.sql("SELECT count(*), count(a) FROM raw.t") == [(3, 1)]


NAMES = [
    'with "quotes"',
    "with space",
    "UPPER",
    "selecT",
    "한글",
    "emoji 😀",
    "per%cent",
    "semi;colon",
    "back\\slash",
    "a" * 63,
    "ü" * 31,
    "{brace}",
    "'apostrophe'",
    "new\nline",
    "-- comment",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_that_postgresql_can_hold_works_for_schema_table_and_column(warehouse, name):
    types = {name: "bigint", "b": "text"}
    table = f"{name}.{name}"
    for value, write in [("a", "merge"), ("b", "merge")]:
        warehouse.load(
            [{name: 1, "b": value}, {name: "bad"}],
            types=types,
            table=table,
            write=write,
            primary_key=[name],
            cursor=name,
            max_bad_rows=1,
        )
    found = warehouse.connection.execute(
        "SELECT * FROM information_schema.tables WHERE table_schema = %s", [name]
    ).rowcount
    assert found == 2  # the table and its dead letters
    quoted = '"' + name.replace('"', '""') + '"'
    assert warehouse.sql(f"SELECT {quoted}, b FROM {quoted}.{quoted}") == [(1, "b")]
    warehouse.copy({"table": table, "columns": [name]}, "raw.copy", write="append", cursor=name)
    assert warehouse.sql(f"SELECT {quoted} FROM raw.copy") == [(1,)]


COLUMNS = {
    "c_smallint": ("smallint", ["-32768", "32767"]),
    "c_integer": ("integer", ["-2147483648", "0"]),
    "c_bigint": ("bigint", ["-9223372036854775808", "9223372036854775807"]),
    "c_numeric_p": ("numeric(10,3)", ["-1234567.891", "0.001"]),
    "c_numeric_wide": ("numeric(60,20)", ["1" * 40 + ".00000000000000000001", "-0.5"]),
    "c_numeric": ("numeric", ["1.10", "1" * 50 + ".000000000000000000000000000000001"]),
    "c_numeric_special": ("numeric", ["NaN", "-Infinity"]),
    "c_real": ("real", ["0.1", "NaN"]),
    "c_real_edge": ("real", ["3.4028235e+38", "1e-45"]),
    "c_double": ("double precision", ["0.30000000000000004", "Infinity"]),
    "c_double_edge": ("double precision", ["-0", "5e-324"]),
    "c_boolean": ("boolean", ["t", "f"]),
    "c_text": ("text", ["", 'a\nb"c\\']),
    "c_varchar": ("varchar(5)", ["abcde", " a "]),
    "c_char": ("char(4)", ["ab", "    "]),
    "c_name": ("name", ["x", ""]),
    "c_bytea": ("bytea", ["\\x00ff0a5c", ""]),
    "c_date": ("date", ["0001-01-01", "9999-12-31"]),
    "c_time": ("time", ["00:00", "23:59:59.999999"]),
    "c_time0": ("time(0)", ["12:00:01", "00:00:00"]),
    "c_timetz": ("timetz", ["12:34:56.789+09:30", "00:00-12"]),
    "c_timestamp": ("timestamp", ["1969-12-31 23:59:59.999999", "2026-02-28 00:00"]),
    "c_timestamp3": ("timestamp(3)", ["2026-01-01 00:00:00.123", "1500-01-01"]),
    "c_timestamptz": ("timestamptz", ["2026-03-29 01:30+01", "0001-01-01 00:00+00"]),
    "c_interval": ("interval", ["1 year -2 mons +3 days -04:05:06.789", "-1 day"]),
    "c_interval_field": ("interval day to second(3)", ["1 day 02:03:04.5", "00:00:00"]),
    "c_uuid": ("uuid", ["00000000-0000-0000-0000-000000000000", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]),
    "c_json": ("json", ['{"b":1,  "a":[null, 1.0]}', '"x\\n"']),
    "c_jsonb": ("jsonb", ['{"k": "\\u00fc", "n": 12345678901234567890.5}', "null"]),
    "c_inet": ("inet", ["192.168.0.1/24", "::1"]),
    "c_cidr": ("cidr", ["10.0.0.0/8", "2001:db8::/32"]),
    "c_macaddr": ("macaddr", ["08:00:2b:01:02:03", "00:00:00:00:00:00"]),
    "c_bit": ("bit(4)", ["1010", "0000"]),
    "c_varbit": ("bit varying(9)", ["", "101"]),
    "c_money": ("money", ["1234567.89", "-0.01"]),
    "c_point": ("point", ["(1.5,-2)", "(0,0)"]),
    "c_tsvector": ("tsvector", ["'a':1 'b':2", ""]),
    "c_int_array": ("integer[]", ["{1,NULL,3}", "{{1,2},{3,4}}"]),
    "c_text_array": ("text[]", ['{a,"b,c","",NULL,"NULL","q\\"q"}', "{}"]),
    "c_numeric_array": ("numeric(8,2)[]", ["{1.50,-2}", "{}"]),
    "c_timestamptz_array": ("timestamptz[]", ['{"2026-01-01 00:00+00",infinity}', "{}"]),
    "c_int4range": ("int4range", ["[1,5)", "empty"]),
    "c_tstzrange": ("tstzrange", ['["2026-01-01 00:00+00",infinity)', "(,)"]),
    "c_multirange": ("int8multirange", ["{[1,3),[5,7)}", "{}"]),
    "c_enum": ("mood", ["very good", "bad"]),
    "c_enum_array": ("mood[]", ['{bad,"very good"}', "{}"]),
    "c_domain": ("positive", ["5", "1"]),
    "c_composite": ("pair", ['(1,"a,b")', "(,)"]),
    "c_oid": ("oid", ["4294967295", "0"]),
    "c_hstore": ("hstore", ['"a"=>"b", "n"=>NULL', ""]),
    "c_citext": ("citext", ["MiXed", ""]),
}  # fmt: skip
TYPES = """
CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TYPE mood AS ENUM ('bad', 'very good'); CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b text);
"""


@pytest.fixture
def everything(warehouse):
    """A table with a column of every type: two rows of values, one of nulls."""
    warehouse.sql(TYPES)
    warehouse.sql(
        f"CREATE TABLE s (id int PRIMARY KEY, {', '.join(f'{name} {type_}' for name, (type_, _) in COLUMNS.items())})"
    )
    for number in range(2):
        values = [values[number] for _, values in COLUMNS.values()]
        warehouse.sql(f"INSERT INTO s VALUES ({number}, {', '.join(['%s'] * len(values))})", *values)
    warehouse.sql("INSERT INTO s (id) VALUES (2)")
    return warehouse


@pytest.mark.parametrize("decoded", [False, True], ids=["relayed", "decoded"])
@pytest.mark.parametrize("write", ["replace", "append", "merge", "scd2"])
def test_every_type_goes_from_table_to_table_unchanged(everything, write, decoded):
    step = {"primary_key": ["id"]} if write in ("merge", "scd2") else {}
    step |= {"cursor": "id"} if write == "append" else {}
    everything.copy("public.s", "raw.t", write=write, decoded=decoded, **step)
    again = everything.copy("public.s", "raw.t", write=write, decoded=decoded, **step)
    assert again.path.startswith("batches" if decoded or write == "append" else "relay")
    assert again.load.rows_written == (3 if write == "replace" else 0)
    for name, (type_, _) in COLUMNS.items():
        query = "SELECT id, {0}::text, format_type(atttypid, atttypmod) FROM {1} CROSS JOIN pg_attribute WHERE attrelid = '{1}'::regclass AND attname = '{0}' ORDER BY id"
        source, target = (everything.sql(query.format(name, table)) for table in ("public.s", "raw.t"))
        assert [row[:2] for row in source] == [row[:2] for row in target], name
        # A domain arrives as the type it is made of: the target need not know the domain.
        assert target[0][2] == ("integer" if type_ == "positive" else source[0][2])
    columns = ", ".join(COLUMNS)
    checksums = [
        everything.sql(f"SELECT md5(string_agg(ROW({columns})::text, '|' ORDER BY id)) FROM {table}")
        for table in ("s", "raw.t")
    ]
    assert checksums[0] == checksums[1]


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("timestamptz", "infinity"),
        ("timestamp", "-infinity"),
        ("date", "infinity"),
        ("time", "24:00:00"),
        ("numeric(6,2)", "NaN"),
        ("timestamp", "20000-01-01"),
        ("date", "0001-12-31 BC"),
    ],
)
def test_what_arrow_cannot_hold_is_relayed_unchanged_or_refused_by_name(warehouse, type_, value):
    warehouse.sql(f"CREATE TABLE s (id int, odd {type_}); INSERT INTO s VALUES (1, '{value}')")
    with pytest.raises(PermanentError, match="column odd"):
        warehouse.copy("public.s", "raw.decoded", decoded=True)
    assert warehouse.sql("SELECT to_regclass('raw.decoded')") == [(None,)]
    warehouse.copy("public.s", "raw.t")
    assert warehouse.sql("SELECT odd::text FROM raw.t") == warehouse.sql("SELECT odd::text FROM s")
    warehouse.copy({"query": "SELECT id, odd::text AS odd FROM s", "stream": "s"}, "raw.texts")
    assert warehouse.sql("SELECT odd FROM raw.texts") == warehouse.sql("SELECT odd::text FROM s")


def test_a_nul_character_cannot_be_kept_and_is_refused(warehouse):
    with pytest.raises(PermanentError, match="0x00"):
        warehouse.load([{"id": 1, "name": "a\x00b"}], types={"id": "bigint", "name": "text"})
    assert warehouse.sql("SELECT to_regclass('raw.t')") == [(None,)]
