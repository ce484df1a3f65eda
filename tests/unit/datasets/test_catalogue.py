import pytest

from dteg.datasets.catalogue import compares_exactly, from_source
from dteg.datasets.preview.suggestions import candidates_of
from dteg.datasets.types import CAST_TYPES, Family, can_cast, parse_type, type_of
from dteg.sources.models import Column, ForeignKey, Kind, Mode, Relation, Source, SourceTable


@pytest.mark.parametrize(
    ("kind", "type_", "remote_type", "exact"),
    [
        (Kind.POSTGRES, "text", "text", True),
        (Kind.POSTGRES, "character varying(20)", "character varying(20)", True),
        (Kind.POSTGRES, "text", "citext", False),
        (Kind.POSTGRES, "text", "mood", False),
        (Kind.POSTGRES, "text", 'text collate "loose"', False),
        (Kind.POSTGRES, "character(5)", "character(5)", False),
        (Kind.MYSQL, "text", "varchar(20)", False),
        (Kind.MSSQL, "text", "nvarchar(20)", False),
        (Kind.MYSQL, "integer", "int", True),
        (Kind.POSTGRES, "integer[]", "integer[]", True),
        (Kind.WAREHOUSE, "text", "", True),
        (Kind.WAREHOUSE, "citext", "citext", False),
    ],
)
def test_who_compares_texts_exactly(kind, type_, remote_type, exact):
    assert compares_exactly(kind, Column(name="a", type=type_, remote_type=remote_type)) is exact


def table(source="shop", name="orders", **more):
    columns = [
        Column(name="id", type="bigint", remote_type="bigint", nullable=False),
        *more.pop("columns", []),
    ]
    return SourceTable(
        source=source,
        name=name,
        relation=Relation(schema_=f"src_{source}", name=name),
        columns=columns,
        **more,
    )


@pytest.mark.parametrize(
    ("kind", "mode", "foreign", "server"),
    [
        (Kind.MYSQL, Mode.FDW, True, "shop"),
        (Kind.MYSQL, Mode.STAGED, False, ""),
        (Kind.POSTGRES, Mode.FDW, False, "shop"),
        (Kind.WAREHOUSE, Mode.LOCAL, False, ""),
    ],
)
def test_what_is_calculated_elsewhere(kind, mode, foreign, server):
    left_out = Column(name="odd", type="", remote_type="geometry")
    found = from_source(
        Source(slug="shop", kind=kind, mode=mode), table(columns=[left_out], primary_key=["id"])
    )

    assert (found.foreign, found.server) == (foreign, server)
    assert list(found.columns) == ["id"]
    assert found.is_unique(["id", "x"])
    assert found.dependency.name == "shop/orders"


def test_columns_of_a_domain_are_compared_here():
    year = Column(name="year", type="smallint", remote_type="year", exact=True)
    found = from_source(Source(slug="shop", kind=Kind.MYSQL, mode=Mode.FDW), table(columns=[year]))

    assert (found.columns["id"].exact, found.columns["year"].exact) == (True, False)


def test_keys_of_columns_that_are_left_out_prove_nothing():
    found = from_source(
        Source(slug="shop", kind=Kind.MYSQL, mode=Mode.FDW), table(primary_key=["odd"], unique_keys=[["id"]])
    )

    assert list(found.keys) == [frozenset(["id"])]


def candidates(**tables):
    source = Source(slug="shop", kind=Kind.WAREHOUSE, mode=Mode.LOCAL)
    found = candidates_of({alias: from_source(source, each) for alias, each in tables.items()})
    return {(each.pairs[0], each.why) for each in found if each.why}


def test_joins_are_suggested_by_foreign_keys_of_several_columns():
    keys = [ForeignKey(columns=["id", "part"], table="orders", ref_columns=["id", "number"])]
    part, number = (Column(name=name, type="integer") for name in ("part", "number"))
    found = candidates(p=table(name="parts", columns=[part], foreign_keys=keys), o=table(columns=[number]))

    assert (("id", "id"), "foreign key") in found


@pytest.mark.parametrize(
    ("column", "other", "suggested"),
    [
        ("customer_id", "customers", True),
        ("country_id", "countries", True),
        ("customer_id", "orders", False),
        ("valid", "customers", False),
    ],
)
def test_joins_are_suggested_by_names(column, other, suggested):
    found = candidates(
        a=table(name="things", columns=[Column(name=column, type="integer")]),
        b=table(name=other, primary_key=["id"]),
    )

    assert (((column, "id"), f"{column} is named after the other table") in found) is suggested


def test_what_every_table_has_joins_none():
    name, status = Column(name="name", type="text"), Column(name="status", type="text")

    assert candidates(
        a=table(name="x", columns=[name, status]), b=table(name="y", columns=[name, status])
    ) == {(("id", "id"), "same name and type")}


@pytest.mark.parametrize("text", CAST_TYPES)
def test_each_type_of_casts_is_read(text):
    assert parse_type(text).node().sql("postgres")
    assert parse_type(text).type.family is not Family.OTHER


@pytest.mark.parametrize(
    "text",
    [
        "",
        "int",
        "text(3)",
        "decimal()",
        "decimal(0)",
        "decimal(101)",
        "decimal(2,3)",
        "text[]",
        "regclass",
        "text; DROP",
    ],
)
def test_other_types_are_refused(text):
    with pytest.raises(ValueError, match=r"unknown type|takes no numbers|decimal"):
        parse_type(text)


def test_types_are_known_however_postgresql_spells_them():
    for text in (
        "character varying(20)",
        "numeric(12,2)",
        "timestamp(3) with time zone",
        "timestamp with time zone",
        "double precision",
    ):
        assert type_of(text).family is not Family.OTHER
    assert type_of("integer[]").family is Family.OTHER
    assert type_of("mood").family is Family.OTHER


def test_casts_without_sense_are_known():
    assert can_cast(Family.TEXT, Family.UUID)
    assert not can_cast(Family.DATE, Family.INTEGER)
    assert not can_cast(Family.DECIMAL, Family.BOOLEAN)
