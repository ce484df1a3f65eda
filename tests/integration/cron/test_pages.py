"""Cron jobs and pruning in the browser, without scripts."""

import pytest

pytestmark = pytest.mark.integration


def send(studio, browser, path, **fields):
    return browser.post(path, data={"csrf": studio.csrf_of(browser), **fields})


def test_job_is_added_stopped_and_removed_by_forms(studio):
    browser = studio.browser()
    assert "No jobs yet" in browser.get("/cron").text
    form = browser.get("/cron/new").text
    assert "At 02:00 every day" in form
    assert "refresh dataset" in form
    assert "metadata" in form

    shown = send(
        studio, browser, "/cron", do="preview", name="nightly", schedule="0 9 * * 1-5", timezone="Asia/Seoul"
    )
    assert shown.status_code == 200
    assert "Monday through Friday" in shown.text
    assert shown.text.count("09:00 KST") == 5
    assert 'value="nightly"' in shown.text

    made = send(
        studio, browser, "/cron", name="nightly", kind="backup", subject="shop", schedule="0 2 * * *", timezone="UTC",
        encrypt="yes", description="Every <b>night</b>.",
    )  # fmt: skip
    assert made.status_code == 303
    page = browser.get(made.headers["location"]).text
    assert "The job was added." in page
    assert "backup shop --encrypt" in page
    assert "Every &lt;b&gt;night&lt;/b&gt;." in page
    assert "It has not run yet." in page

    assert send(studio, browser, "/cron/jobs/nightly/stop").status_code == 303
    listed = browser.get("/cron").text
    assert "stopped" in listed
    assert "not planned" in listed
    assert send(studio, browser, "/cron/jobs/nightly/start").status_code == 303

    assert "cron/nightly.yaml" in browser.get("/cron/jobs/nightly/remove").text
    assert send(studio, browser, "/cron/jobs/nightly/remove").status_code == 303
    assert "No jobs yet" in browser.get("/cron").text


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"schedule": "often"}, "Schedule"),
        ({"name": "Nightly Backup"}, "Name"),
        ({"subject": ""}, "write backup DATABASE"),
        ({"kind": "metadata", "subject": "sales"}, "no source"),
        ({"kind": "refresh dataset", "subject": "sales"}, "no dataset"),
        ({"kind": "run pipeline", "subject": "nowhere"}, "nowhere"),
    ],
)
def test_wrong_field_is_told_and_the_form_keeps_the_rest(studio, fields, said):
    browser = studio.browser()
    values = {
        "name": "nightly",
        "kind": "backup",
        "subject": "shop",
        "schedule": "0 2 * * *",
        "timezone": "UTC",
        "description": "keep me",
    }
    answer = send(studio, browser, "/cron", **{**values, **fields})
    assert answer.status_code == 422
    assert said in answer.text
    assert "keep me" in answer.text
    assert not list((studio.project.root / "cron").glob("*"))


def test_schedule_is_explained_while_it_is_written(studio):
    browser = studio.browser()
    assert "At 06:30 every day" in browser.get("/cron/preview?schedule=30+6+*+*+*").text
    assert "is not a cron expression" in browser.get("/cron/preview?schedule=often").text


def test_broken_file_says_what_is_wrong(studio):
    folder = studio.project.root / "cron"
    folder.mkdir()
    (folder / "bad.yaml").write_text("cron: {name: bad, schedule: often, action: prune}\n")
    browser = studio.browser()
    for path in ("/cron", "/cron/jobs/bad", "/"):
        assert "cron/bad.yaml:1" in browser.get(path).text


def test_pruning_counts_before_it_removes(studio):
    browser = studio.browser()
    assert "Remove them" not in browser.get("/pruning").text
    counted = send(studio, browser, "/pruning", older_than="7d", do="count").text
    assert "Would remove 0 runs" in counted
    assert "Remove them" in counted
    assert "Removed 0 runs" in send(studio, browser, "/pruning", older_than="7d", do="remove").text
    assert send(studio, browser, "/pruning", older_than="soon").status_code == 422


def test_who_may_only_look_changes_nothing(studio):
    reader = studio.client_of("read")
    assert reader.get("/cron/jobs") == {"items": [], "next": None}
    from dteg.core.errors import DeniedError

    new = {"name": "nightly", "schedule": "0 2 * * *", "action": "backup shop"}
    for call in (
        lambda: reader.post("/cron/jobs", new), lambda: reader.post("/cron/start", {}), lambda: reader.delete("/cron/jobs/x"),
        lambda: reader.post("/pruning", {}),
    ):  # fmt: skip
        with pytest.raises(DeniedError):
            call()
