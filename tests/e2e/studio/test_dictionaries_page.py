"""The grid of a dictionary in a browser: keys, paste from a spreadsheet, and what is not saved yet."""

import pytest
from playwright.sync_api import expect

from dteg.dictionaries.models import DictionaryColumn, NewDictionary
from dteg.testing.browser import WIDTHS

pytestmark = [pytest.mark.e2e, pytest.mark.integration]

PASTE = """([field, text]) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    field.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def dictionaries(studio):
    columns = [
        DictionaryColumn(name="code"),
        DictionaryColumn(name="name"),
        DictionaryColumn(name="eu", type="boolean"),
        DictionaryColumn(name="since", type="date"),
    ]
    service = studio.services.dictionaries
    service.create(NewDictionary(slug="countries", title="Countries", key="code", columns=columns), "ann")
    service.put(
        "countries", [{"code": "DE", "name": "Germany", "eu": True}, {"code": "KR", "name": "Korea"}], "ann"
    )
    return service


def test_rows_are_typed_pasted_and_saved_with_the_keyboard(studio, dictionaries, tab):
    page = tab()
    page.goto("/dictionaries/countries")
    status = page.locator("[data-status]")
    page.get_by_label("name of DE").fill("Deutschland")
    expect(status).to_have_text("1 row not saved yet")
    page.keyboard.press("Enter")
    expect(page.get_by_label("name of KR")).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Escape")
    expect(status).to_have_text("")
    first_new = page.get_by_label("code of new row").first
    text = (
        'FR\tFrance\tyes\t1958-10-05\nIT\t"La ""bella""\tItalia"\tno\t\nES\tSpain\t\t\nPT\tPortugal\ttrue\t\n'
    )
    page.evaluate(PASTE, [first_new.element_handle(), text])
    expect(status).to_have_text("4 rows not saved yet")
    page.get_by_label("Delete KR").check()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    assert dictionaries.rows("countries").rows == [
        ["DE", "Germany", True, None],
        ["ES", "Spain", None, None],
        ["FR", "France", True, "1958-10-05"],
        ["IT", 'La "bella"\tItalia', False, None],
        ["PT", "Portugal", True, None],
    ]
    assert {each.key for each in dictionaries.history("countries").items} == {
        "DE",
        "KR",
        "ES",
        "FR",
        "IT",
        "PT",
    }


def test_only_touched_rows_are_sent_and_a_wrong_one_is_focused(studio, dictionaries, tab):
    page = tab()
    page.goto("/dictionaries/countries")
    dictionaries.put("countries", [{"code": "KR", "name": "South Korea"}], "bob")
    page.get_by_label("code of DE").fill("")
    with page.expect_request(lambda request: request.method == "POST") as sent:
        page.get_by_role("button", name="Save", exact=True).click()
    assert "KR" not in (sent.value.post_data or "")
    expect(page.get_by_text("the key is empty; each row needs one")).to_be_visible()
    expect(page.get_by_label("code of DE")).to_be_focused()
    page.get_by_label("code of DE").fill("D")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    assert [row[:2] for row in dictionaries.rows("countries").rows] == [
        ["D", "Germany"],
        ["KR", "South Korea"],
    ]


def test_too_many_pasted_rows_lead_to_the_import(studio, dictionaries, tab):
    page = tab()
    page.goto("/dictionaries/countries")
    text = "\n".join(f"c{number}\tx" for number in range(400))
    page.evaluate(PASTE, [page.get_by_label("code of new row").first.element_handle(), text])
    page.get_by_role("link", name="import them as a file").click()
    expect(page.get_by_label("CSV or Excel file")).to_be_visible()


def test_leaving_with_unsaved_rows_asks(studio, dictionaries, tab):
    page = tab()
    page.goto("/dictionaries/countries")
    page.get_by_label("name of DE").fill("x")
    asked = []

    def refuse(dialog):
        asked.append(dialog.type)
        dialog.dismiss()

    page.once("dialog", refuse)
    with page.expect_event("dialog"):
        page.get_by_role("link", name="Tables", exact=True).click()
    assert asked == ["beforeunload"]
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("link", name="Undo changes").click()
    expect(page.get_by_label("name of DE")).to_have_value("Germany")


@pytest.mark.parametrize("scripts", [True, False])
def test_the_journey_from_a_file_to_a_changed_row(studio, tab, tmp_path, scripts):
    (tmp_path / "regions.csv").write_text(
        "Region Code,Name,Opened\nA1,North,2020-01-01\nB2,South,2021-02-03\n"
    )
    page = tab(java_script_enabled=scripts)
    page.goto("/dictionaries")
    page.get_by_role("button", name="Make a dictionary").click()
    page.get_by_label("CSV or Excel file").set_input_files(tmp_path / "regions.csv")
    page.get_by_role("button", name="Look at it").click()
    expect(page.get_by_label("Name of column 1")).to_have_value("region_code")
    expect(page.get_by_label("Type of column 3")).to_have_value("date")
    page.get_by_label("Title").fill("Regions")
    page.get_by_role("button", name="Make the dictionary").click()
    expect(page.get_by_role("status").first).to_have_text(
        "The dictionary is there, with the rows of the file."
    )
    page.get_by_label("name of B2").fill("Deep South")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("status").first).to_have_text("Saved.")
    page.get_by_role("link", name="History").click()
    expect(page.locator("ins", has_text="Deep South")).to_be_visible()


def test_no_page_is_wider_than_its_window(studio, dictionaries, tab):
    for width in WIDTHS:
        page = tab(viewport={"width": width, "height": 900})
        for path in (
            "",
            "/new",
            "/countries",
            "/countries/import",
            "/countries/history",
            "/countries/settings",
        ):
            page.goto(f"/dictionaries{path}")
            over = page.evaluate(
                "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            )
            assert over <= 0, (path, width)
