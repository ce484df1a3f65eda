"""Dictionaries in the browser, without scripts."""

import re

import pytest

from dteg.dictionaries.models import DictionaryColumn, NewDictionary

pytestmark = pytest.mark.integration


@pytest.fixture
def dictionaries(studio):
    columns = [
        DictionaryColumn(name="code"),
        DictionaryColumn(name="name"),
        DictionaryColumn(name="people", type="integer"),
    ]
    service = studio.services.dictionaries
    service.create(NewDictionary(slug="countries", title="Countries <b>", key="code", columns=columns), "ann")
    rows = [
        {"code": "DE", "name": "Germany <i>", "people": 83},
        {"code": "KR", "name": " Korea\nSouth ", "people": 51},
    ]
    service.put("countries", rows, "ann")
    return service


def send(studio, browser, path, files=None, **fields):
    return browser.post(path, data={"csrf": studio.csrf_of(browser), **fields}, files=files)


def fields_of(html):
    """Return what a browser would send for the grid of a page, if nothing was typed."""
    import html as entities

    grid = html[html.index("data-grid") :]
    found = {}
    for tag in re.findall(
        r"<(?:input|textarea|select)[^>]*>(?:[^<]*</textarea>|(?:\s*<option.*?</select>))?", grid, re.DOTALL
    ):
        name = re.search(r'name="([^"]+)"', tag)
        if not name or 'type="checkbox"' in tag or name[1] in ("csrf", "find"):
            continue
        if tag.startswith("<textarea"):
            text = re.sub(r"^\n", "", tag[tag.index(">") + 1 : tag.rindex("</textarea>")])
        elif tag.startswith("<select"):
            chosen = re.search(r'value="([^"]*)" selected', tag)
            text = chosen[1] if chosen else ""
        else:
            value = re.search(r'value="([^"]*)"', tag)
            text = value[1] if value else ""
        found[name[1]] = entities.unescape(text).replace("\n", "\r\n")
    return found


def test_rows_are_shown_escaped_and_saved_untouched_nothing_changes(studio, dictionaries):
    browser = studio.browser()
    page = browser.get("/dictionaries/countries").text
    assert "Countries &lt;b&gt;" in page
    assert "<i>" not in page
    sent = fields_of(page)
    assert sent["r0.people"] == "83"
    assert sent["r1.name"] == " Korea\r\nSouth "
    answer = send(studio, browser, "/dictionaries/countries", **sent)
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/dictionaries/countries?done=nothing-changed",
    )
    assert dictionaries.get("countries").version == 1


def test_rows_are_changed_added_renamed_and_deleted_in_one_form(studio, dictionaries):
    browser = studio.browser()
    sent = fields_of(browser.get("/dictionaries/countries").text)
    sent |= {"r0.people": "84", "r1.code": "ROK", "r2.code": "FR", "r2.name": "France"}
    answer = send(studio, browser, "/dictionaries/countries", **sent)
    assert answer.headers["location"].endswith("done=rows-saved")
    assert dictionaries.rows("countries").rows == [
        ["DE", "Germany <i>", 84],
        ["FR", "France", None],
        ["ROK", " Korea\nSouth ", 51],
    ]
    sent = fields_of(browser.get("/dictionaries/countries").text)
    send(studio, browser, "/dictionaries/countries", **sent, d0="yes")
    assert [row[0] for row in dictionaries.rows("countries").rows] == ["FR", "ROK"]
    said = browser.get("/dictionaries/countries/history").text
    assert "<del>83</del> <ins>84</ins>" in said
    assert "owner" in said


def test_bad_cells_are_told_beside_them_and_nothing_is_saved(studio, dictionaries):
    browser = studio.browser()
    sent = fields_of(browser.get("/dictionaries/countries").text)
    answer = send(
        studio,
        browser,
        "/dictionaries/countries",
        **{**sent, "r0.people": "many", "r1.name": "Korea", "r2.name": "no key"},
    )
    assert answer.status_code == 422
    assert "&#39;many&#39; is no whole number" in answer.text
    assert "the key is empty" in answer.text
    again = fields_of(answer.text)
    assert (again["r0.people"], again["r1.name"]) == ("many", "Korea")
    assert dictionaries.get("countries").version == 1
    again |= {"r0.people": "85", "r2.name": ""}
    assert send(studio, browser, "/dictionaries/countries", **again).status_code == 303
    assert [row[1:] for row in dictionaries.rows("countries").rows] == [["Germany <i>", 85], ["Korea", 51]]


def test_a_key_that_is_there_is_not_overwritten_by_a_new_line(studio, dictionaries):
    browser = studio.browser()
    sent = fields_of(browser.get("/dictionaries/countries").text)
    answer = send(
        studio, browser, "/dictionaries/countries", **{**sent, "r2.code": "DE", "r2.name": "another"}
    )
    assert answer.status_code == 422
    assert "there is a row &#39;DE&#39; already" in answer.text


def test_what_somebody_else_has_changed_is_told_before_it_is_overwritten(studio, dictionaries):
    browser = studio.browser()
    sent = fields_of(browser.get("/dictionaries/countries").text)
    dictionaries.put("countries", [{"code": "DE", "people": 90}], "bob")
    answer = send(studio, browser, "/dictionaries/countries", **{**sent, "r0.people": "84"})
    assert answer.status_code == 422
    assert "Changed meanwhile by bob: DE. What you typed is still here" in answer.text
    assert dictionaries.rows("countries").rows[0][2] == 90
    # Another row is no conflict, and saving once more means it.
    assert send(studio, browser, "/dictionaries/countries", **{**sent, "r1.people": "52"}).status_code == 303
    assert send(studio, browser, "/dictionaries/countries", **fields_of(answer.text)).status_code == 303
    assert [row[2] for row in dictionaries.rows("countries").rows] == [84, 52]


def test_a_file_is_shown_before_it_is_taken(studio, dictionaries):
    browser = studio.browser()
    bad = {"file": ("bad.csv", b"code,people\nDE,lots\n")}
    answer = send(studio, browser, "/dictionaries/countries/import", files=bad)
    page = browser.get(answer.headers["location"])
    assert page.status_code == 422
    assert "bad.csv cannot be taken yet; nothing was changed." in page.text
    assert "&#39;lots&#39; is no whole number" in page.text
    good = {"file": ("good.csv", b"Code,People\nDE,84\nFR,68\n")}
    place = send(studio, browser, "/dictionaries/countries/import", files=good, replace="yes").headers[
        "location"
    ]
    page = browser.get(place)
    assert "Import, and delete 1 row" in page.text
    assert "<del>83</del> <ins>84</ins>" in page.text
    assert dictionaries.get("countries").version == 1
    done = send(studio, browser, place.split("?")[0], replace="yes")
    assert done.headers["location"] == "/dictionaries/countries?done=file-imported"
    assert [row[:1] for row in dictionaries.rows("countries").rows] == [["DE"], ["FR"]]
    assert "send the file again" in browser.get(place).text  # it is used up
    assert "Choose a file" in send(studio, browser, "/dictionaries/countries/import", x="1").text


def test_a_dictionary_is_made_by_hand_or_from_a_file(studio):
    browser = studio.browser()
    assert "No dictionaries yet" in browser.get("/dictionaries").text
    made = send(
        studio,
        browser,
        "/dictionaries/new",
        slug="colours",
        key="1",
        name0="name",
        name1="code",
        type1="integer",
    )
    assert made.headers["location"] == "/dictionaries/colours?done=dictionary-made"
    found = studio.services.dictionaries.get("colours")
    assert (found.key, [(each.name, each.type) for each in found.columns]) == (
        "code",
        [("name", "text"), ("code", "integer")],
    )
    file = {"file": ("Regions.csv", b"Region Code;Area\nA;1.5\nB;2\n")}
    place = send(studio, browser, "/dictionaries/new/file", files=file).headers["location"]
    form = browser.get(place).text
    assert 'value="region_code"' in form
    assert 'value="regions"' in form
    upload = place.split("upload=")[1]
    fields = {
        "slug": "regions",
        "key": "0",
        "name0": "region_code",
        "name1": "area",
        "type1": "numeric",
        "upload": upload,
        "columns": "2",
    }
    made = send(studio, browser, "/dictionaries/new", **fields)
    assert made.headers["location"] == "/dictionaries/regions?done=dictionary-filled"
    assert studio.services.dictionaries.rows("regions").rows == [["A", "1.5"], ["B", "2"]]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "name at least one column"),
        ({"name0": "code", "slug": "Big Name"}, "slug"),
        ({"name0": "co de"}, "columns.0.name"),
        ({"name0": "code", "key": "3"}, "choose the column"),
        ({"name0": "code", "type0": "boolean"}, "the key is of type boolean"),
    ],
)
def test_a_definition_that_does_not_fit_is_told_and_kept(studio, fields, said):
    browser = studio.browser()
    answer = send(
        studio, browser, "/dictionaries/new", **{"slug": "x", "key": "0", "title": "My title", **fields}
    )
    assert answer.status_code == 422
    assert said in answer.text
    assert 'value="My title"' in answer.text


def test_title_and_columns_change_and_the_whole_is_deleted_after_a_question(studio, dictionaries):
    browser = studio.browser()
    answer = send(
        studio, browser, "/dictionaries/countries/settings", title="Lands", name="eu", type="boolean"
    )
    assert answer.status_code == 303
    assert [each.name for each in dictionaries.get("countries").columns][-1] == "eu"
    wrong = send(
        studio, browser, "/dictionaries/countries/settings", title="Lands", name="eu", type="boolean"
    )
    assert (wrong.status_code, "already" in wrong.text) == (422, True)
    assert "gone for good" in browser.get("/dictionaries/countries/delete").text
    assert (
        send(studio, browser, "/dictionaries/countries/delete").headers["location"]
        == "/dictionaries?done=dictionary-deleted"
    )
    assert browser.get("/dictionaries/countries").status_code == 404


def test_pages_are_those_of_who_may(studio, dictionaries):
    reader = studio.client_of("read")
    assert len(list(reader.items("/dictionaries"))) == 1
    for method, path in (
        ("PUT", "/dictionaries/countries/rows"),
        ("POST", "/dictionaries/countries/rows/delete"),
        ("POST", "/dictionaries/countries/import?name=a.csv"),
        ("DELETE", "/dictionaries/countries"),
        ("PUT", "/dictionaries/countries"),
        ("POST", "/dictionaries"),
    ):
        token = studio.token_of("read", "write") if method == "DELETE" else studio.token_of("read")
        assert studio.request(method, path, token=token, json={}).status_code == 403, path
    browser = studio.browser()
    assert (
        browser.post("/dictionaries/countries", data={"r0.code": "X", "o0": ""}).status_code == 403
    )  # no csrf


def test_rows_are_found_and_paged(studio, dictionaries):
    dictionaries.put("countries", [{"code": f"c{number:03}", "name": "many"} for number in range(60)], "ann")
    browser = studio.browser()
    first = browser.get("/dictionaries/countries").text
    assert first.count('name="o') == 53
    following = re.search(r'href="([^"]+)" rel="next"', first)[1]
    assert browser.get(following).text.count('name="o') == 12 + 3
    assert browser.get("/dictionaries/countries", params={"find": "germany"}).text.count('name="o') == 1 + 3
