"""The same suite for dictionaries here and through a studio."""

import pytest

from dteg.core.control import session
from dteg.core.errors import ConfigError, ConflictError, DtegError, InputError, NotFoundError
from dteg.dictionaries.models import DictionaryColumn, DictionaryUpdate, NewDictionary
from dteg.dictionaries.remote import RemoteDictionaries
from dteg.dictionaries.service import Dictionaries

pytestmark = pytest.mark.integration

COLUMNS = {
    "code": "text",
    "name": "text",
    "share": "numeric",
    "eu": "boolean",
    "since": "date",
    "seen": "timestamptz",
}


def make_new(slug="countries", key="code", **types):
    columns = [DictionaryColumn(name=name, type=type_) for name, type_ in (types or COLUMNS).items()]
    return NewDictionary(slug=slug, title="Countries", key=key, columns=columns)


@pytest.fixture(params=["library", "studio"])
def dictionaries(request, studio_project):
    if request.param == "library":
        return Dictionaries.of(studio_project)
    return RemoteDictionaries(request.getfixturevalue("studio").client)


@pytest.fixture
def write(tmp_path):
    def make(text, name="rows.csv"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return make


def test_a_dictionary_from_beginning_to_end(dictionaries):
    made = dictionaries.create(make_new(), "ann")
    assert (made.slug, made.rows, made.table, made.version) == ("countries", 0, "dict.countries", 0)
    done = dictionaries.put(
        "countries",
        [
            {"code": "DE", "name": "Germany", "share": "0.10", "eu": True, "since": "1990-10-03", "seen": "2026-03-31T17:05:00+02:00"},
            {"code": "KR", "name": "한국", "share": 12.5},
        ],
        "ann",
    )  # fmt: skip
    assert (done.inserted, done.updated, done.unchanged) == (2, 0, 0)
    found = dictionaries.rows("countries")
    assert found.rows == [
        ["DE", "Germany", "0.10", True, "1990-10-03", "2026-03-31 15:05:00+00"],
        ["KR", "한국", "12.5", None, None, None],
    ]
    assert found.version == done.version
    again = dictionaries.put(
        "countries", [{"code": "KR", "eu": "no"}, {"code": "DE", "name": "Germany"}], "bob"
    )
    assert (again.inserted, again.updated, again.unchanged) == (0, 1, 1)
    assert dictionaries.rows("countries", find="한").rows[0][:4] == ["KR", "한국", "12.5", False]
    assert dictionaries.delete_rows("countries", ["DE", "XX"]) == 1
    assert [each.slug for each in dictionaries.dictionaries()] == ["countries"]
    assert dictionaries.get("countries").rows == 1
    dictionaries.remove("countries")
    assert dictionaries.dictionaries() == []
    with pytest.raises(NotFoundError, match="no dictionary 'countries'"):
        dictionaries.get("countries")


def test_history_says_who_has_changed_what(dictionaries):
    dictionaries.create(make_new(code="text", share="numeric"), "ann")
    dictionaries.put("countries", [{"code": "DE", "share": "12345678901234567890.12"}], "ann")
    dictionaries.put("countries", [{"code": "DE", "share": "2"}], "ann")
    dictionaries.put("countries", [{"code": "DE", "share": "2.0"}], "ann")  # the same number
    dictionaries.delete_rows("countries", ["DE"], "ann")
    found = dictionaries.history("countries")
    assert [(each.what, each.key) for each in found.items] == [
        ("delete", "DE"),
        ("update", "DE"),
        ("insert", "DE"),
    ]
    assert found.items[1].old == {"code": "DE", "share": "12345678901234567890.12"}
    assert len({each.who for each in found.items}) == 1
    assert found.items[0].who in ("ann", "owner")  # a studio knows who asks by the token
    first = dictionaries.history("countries", 2)
    assert [each.id for each in dictionaries.history("countries", 2, first.next).items] == [found.items[2].id]
    assert dictionaries.history("countries", key="KR").items == []


def test_nothing_is_changed_if_one_row_cannot_be_taken(dictionaries):
    dictionaries.create(make_new(), "ann")
    rows = [
        {"code": "DE", "name": "Germany"},
        {"code": "KR", "share": "much"},
        {"code": "KR", "share": "1"},
        {"name": "nowhere"},
        {"code": "FR", "colour": "blue"},
    ]
    with pytest.raises(ConfigError) as caught:
        dictionaries.put("countries", rows, "ann")
    said = [str(problem) for problem in caught.value.problems]
    assert any("rows[1].share" in each and "'much' is no number" in each for each in said)
    assert any("rows[2].code" in each and "the same key" in each for each in said)
    assert any("rows[3].code" in each and "key is missing" in each for each in said)
    assert any("rows[4].colour" in each and "no such column" in each for each in said)
    assert dictionaries.get("countries").version == 0
    assert dictionaries.history("countries").items == []


def test_what_the_database_alone_refuses_is_told_too(dictionaries):
    dictionaries.create(make_new(code="date", name="text"), "ann")
    dictionaries.put("countries", [{"code": "2026-01-01", "name": "x"}], "ann")
    with pytest.raises(ConfigError, match="there is a row '2026-01-01' already"):
        dictionaries.put(
            "countries", [{"code": "2026-01-01", "name": "y"}], "ann", must_be_new=["2026-01-01"]
        )
    assert dictionaries.rows("countries").rows == [["2026-01-01", "x"]]


def test_who_has_seen_an_older_state_overwrites_no_newer_one(dictionaries):
    dictionaries.create(make_new(code="text", name="text"), "ann")
    dictionaries.put("countries", [{"code": "DE", "name": "a"}, {"code": "KR", "name": "a"}], "ann")
    seen = dictionaries.get("countries").version
    dictionaries.put("countries", [{"code": "DE", "name": "b"}], "bob")
    with pytest.raises(ConflictError, match=r"changed meanwhile by .*: DE; read"):
        dictionaries.put("countries", [{"code": "DE", "name": "c"}, {"code": "KR", "name": "c"}], "ann", seen)
    with pytest.raises(ConflictError, match="meanwhile"):
        dictionaries.delete_rows("countries", ["DE"], "ann", seen)
    assert dictionaries.put("countries", [{"code": "KR", "name": "c"}], "ann", seen).updated == 1
    assert [row[1] for row in dictionaries.rows("countries").rows] == ["b", "c"]


def test_rows_come_in_parts_in_the_order_of_the_type_of_the_key(dictionaries):
    dictionaries.create(make_new(code="integer", name="text"), "ann")
    dictionaries.put("countries", [{"code": number, "name": "x%_'\""} for number in (10, 9, 100, 2)], "ann")
    first = dictionaries.rows("countries", 3)
    assert [row[0] for row in first.rows] == [2, 9, 10]
    assert [row[0] for row in dictionaries.rows("countries", 3, first.next or "").rows] == [100]
    assert len(dictionaries.rows("countries", find="%_'\"").rows) == 4
    assert dictionaries.rows("countries", find="x%%").rows == []
    with pytest.raises(ConfigError, match="after"):
        dictionaries.rows("countries", after="nine")


def test_columns_and_title_change_while_rows_stay(dictionaries):
    dictionaries.create(make_new(code="text"), "ann")
    dictionaries.put("countries", [{"code": "DE"}], "ann")
    wanted = DictionaryUpdate(title="Lands", add_columns=[DictionaryColumn(name="people", type="integer")])
    assert dictionaries.update("countries", wanted).title == "Lands"
    dictionaries.put("countries", [{"code": "DE", "people": 83}], "ann")
    assert dictionaries.rows("countries").rows == [["DE", 83]]
    with pytest.raises(ConflictError, match="has a column 'people' already"):
        dictionaries.update("countries", wanted)
    assert dictionaries.history("countries").items[0].new == {"code": "DE", "people": 83}


def test_the_same_name_twice_is_refused(dictionaries):
    dictionaries.create(make_new(), "ann")
    with pytest.raises(ConflictError, match="there is a dictionary 'countries' already"):
        dictionaries.create(make_new(), "ann")
    with pytest.raises(NotFoundError, match="countries"):
        dictionaries.get("countris")


def test_a_file_is_taken_whole_and_its_preview_changes_nothing(dictionaries, write):
    dictionaries.create(make_new(), "ann")
    dictionaries.put(
        "countries", [{"code": "DE", "name": "Deutschland"}, {"code": "XX", "name": "Nowhere"}], "ann"
    )
    path = write('CODE;Name;Share\nDE;Germany;0.1\nFR;"La; France";\n')
    planned = dictionaries.import_file("countries", path, True, "ann", True)
    assert (planned.applied, planned.inserted, planned.updated, planned.deleted) == (False, 1, 1, 1)
    assert {(each.what, each.key) for each in planned.sample} == {
        ("update", "DE"),
        ("insert", "FR"),
        ("delete", "XX"),
    }
    assert dictionaries.get("countries").rows == 2
    done = dictionaries.import_file("countries", path, False, "ann")
    assert (done.applied, done.inserted, done.updated, done.deleted, done.rows_read) == (True, 1, 1, 0, 2)
    assert [row[:2] for row in dictionaries.rows("countries").rows] == [
        ["DE", "Germany"], ["FR", "La; France"], ["XX", "Nowhere"],
    ]  # fmt: skip
    assert dictionaries.import_file("countries", path, True, "ann").deleted == 1
    assert dictionaries.import_file("countries", path, True, "ann").unchanged == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("code,share\nDE,1\nFR,much\nKR,2,3\n", "3"),
        ("code,share\nDE,1\nFR,much\n", "row 2 (FR), column share: 'much' is no number"),
        ("code,share\nDE,1\nDE,2\n", "row 2 (DE), column code: the same key as in row 1"),
        ("code,colour\nDE,1\n", "column colour: the dictionary has no such column"),
        ("name,share\nGermany,1\n", "column code: the column of the key is missing"),
        ("code,Code\nDE,1\n", "two columns of the file are for it"),
        ("code,share\n,1\n", "the key is empty"),
    ],
)
def test_a_bad_file_changes_nothing_and_is_told_row_by_row(dictionaries, write, text, said):
    dictionaries.create(make_new(), "ann")
    report = dictionaries.import_file("countries", write(text), False, "ann")
    assert not report.applied
    assert any(said in str(problem) for problem in report.problems), report.problems
    assert report.problem_count == len(report.problems)
    assert dictionaries.get("countries").version == 0


def test_a_file_that_is_none_is_refused(dictionaries, write):
    dictionaries.create(make_new(), "ann")
    with pytest.raises(DtegError, match="empty"):
        dictionaries.import_file("countries", write(""), False, "ann")
    with pytest.raises(InputError):
        dictionaries.import_file("countries", write("x").with_name("none.csv"), False, "ann")


def test_excel_dates_numbers_and_booleans_arrive_as_they_are_shown(dictionaries, tmp_path):
    from datetime import datetime

    openpyxl = pytest.importorskip("openpyxl", reason="the extra excel is not installed")
    book = openpyxl.Workbook()
    book.active.append(["code", "share", "eu", "since", "seen"])
    book.active.append(["DE", 0.1, True, datetime(1990, 10, 3), datetime(2026, 3, 31, 17, 5)])  # noqa: DTZ001 - Excel knows no zones
    book.active.append([7, 12, False, None, None])
    book.save(tmp_path / "rows.xlsx")
    dictionaries.create(make_new(), "ann")
    report = dictionaries.import_file("countries", tmp_path / "rows.xlsx", False, "ann")
    assert report.problems == []
    assert dictionaries.rows("countries").rows == [
        ["7", None, "12", False, None, None],
        ["DE", None, "0.1", True, "1990-10-03", "2026-03-31 17:05:00+00"],
    ]


def test_made_from_a_file_with_its_rows_or_not_at_all(dictionaries, write):
    new = make_new(code="text", share="integer")
    with pytest.raises(InputError, match="no whole number"):
        dictionaries.create_from_file(new, write("code,share\nDE,1.5\n"), "ann")
    assert dictionaries.dictionaries() == []
    made, report = dictionaries.create_from_file(new, write("code,share\nDE,1\nFR,2\n"), "ann")
    assert (made.rows, report.inserted) == (2, 2)


def test_rows_changed_by_other_programs_are_in_the_history_too(dictionaries, studio_project):
    dictionaries.create(make_new(code="text", name="text"), "ann")
    with session(studio_project) as connection:
        connection.execute("INSERT INTO dict.countries VALUES ('A', 'a'), ('B', 'b')")
        connection.execute("UPDATE dict.countries SET code = 'C' WHERE code = 'B'")
        connection.execute("UPDATE dict.countries SET name = name")
        user = connection.info.user
        connection.execute("TRUNCATE dict.countries")
    found = dictionaries.history("countries").items
    assert sorted((each.what, each.key) for each in found) == [
        ("delete", "A"), ("delete", "B"), ("delete", "C"), ("insert", "A"), ("insert", "B"), ("insert", "C"),
    ]  # fmt: skip
    assert {each.who for each in found} == {user}


def test_what_is_used_is_not_removed(dictionaries, studio_project):
    dictionaries.create(make_new(), "ann")
    with session(studio_project) as connection:
        connection.execute('CREATE VIEW public."My view" AS SELECT code FROM dict.countries')
    with pytest.raises(ConflictError, match=r'used by the view public\."My view"'):
        dictionaries.remove("countries")
    assert dictionaries.get("countries").slug == "countries"


def test_the_reader_reads_and_nobody_but_the_owner_writes(dictionaries, studio_project):
    dictionaries.create(make_new(code="text"), "ann")
    dictionaries.put("countries", [{"code": "DE"}], "ann")
    with session(studio_project) as connection:
        for role in ("dteg_reader", "dteg_builder"):
            with connection.transaction():
                connection.execute(f"SET LOCAL ROLE {role}")
                assert connection.execute("SELECT count(*) FROM dict.countries").fetchone() == (1,)
            rights = "SELECT has_table_privilege(%s, 'dict.countries', 'INSERT, UPDATE, DELETE, TRUNCATE')"
            assert connection.execute(rights, [role]).fetchone() == (False,)


def test_a_table_that_somebody_has_dropped_is_told_and_hides_no_other(dictionaries, studio_project):
    dictionaries.create(make_new("first", code="text"), "ann")
    dictionaries.create(make_new("second", code="text"), "ann")
    with session(studio_project) as connection:
        connection.execute("DROP TABLE dict.first")
    assert [each.slug for each in dictionaries.dictionaries()] == ["second"]
    with pytest.raises(NotFoundError, match="was dropped"):
        dictionaries.rows("first")
    dictionaries.remove("first")
    assert dictionaries.create(make_new("first", code="text"), "ann").rows == 0
