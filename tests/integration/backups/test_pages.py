"""The pages of backups as a browser without scripts uses them, and who may do what over HTTP."""

import time

import pytest

from dteg.backups.models import JobState
from studio.testing import running_studio
from tests.integration.backups.conftest import databases, order


@pytest.fixture
def studio(project):
    with running_studio(project) as running:
        yield running


def ended(studio, answer):
    """Wait for the job that a page leads to; return it and the text of its page."""
    assert answer.status_code == 303, answer.text
    address = answer.headers["location"]
    job_id = address.partition("?")[0].rpartition("/")[2]
    for _ in range(600):
        job = studio.services.backups.job(job_id)
        if job.state is not JobState.RUNNING:
            return job, address
        time.sleep(0.1)
    raise AssertionError("the job does not end")


def test_a_person_backs_up_proves_restores_swaps_and_prunes(studio, name, new_name, postgres_server):
    with studio.browser() as browser:
        token = {"csrf": studio.csrf_of(browser)}
        page = browser.get("/backups").text
        assert "No backups yet" in page
        assert f'<option value="{name}">' in page
        assert "<script>" not in page
        refused = browser.post("/backups", data={**token, "database": "mysql://me:pw@h/x"})
        assert (refused.status_code, "pw@" in refused.text.split("<form")[0]) == (422, False)
        job, address = ended(
            studio, browser.post("/backups", data={**token, "database": name, "encrypt": "yes"})
        )
        assert job.state is JobState.DONE, job.error
        assert "done" in browser.get(address).text
        backup = job.result["id"]
        page = browser.get(f"/backups/{backup}").text
        for text in ("2,108", "pg_trgm", "backup_owner", "SHA-256"):
            assert text in page
        job, _ = ended(studio, browser.post(f"/backups/{backup}/verify", data={**token, "how": "restore"}))
        assert job.state is JobState.DONE, job.error
        assert ">restored<" in browser.get("/backups").text
        into = new_name("page_restored")
        job, _ = ended(studio, browser.post(f"/backups/{backup}/restore", data={**token, "into": into}))
        assert job.state is JobState.DONE, job.error
        taken = browser.post(f"/backups/{backup}/restore", data={**token, "into": into})
        assert taken.status_code == 422
        assert "already" in taken.text
        asked = browser.post(f"/backups/{backup}/restore", data={**token, "into": into, "swap": "yes"})
        assert "Swap the database" in asked.text
        assert not [each for each in databases(postgres_server) if each.startswith(f"{into}_before")]
        data = {**token, "into": into, "swap": "yes", "confirmed": into}
        job, address = ended(studio, browser.post(f"/backups/{backup}/restore", data=data))
        assert job.result["kept"].startswith(f"{into}_before_")
        assert job.result["kept"] in browser.get(address).text
        assert "0 go, 1 stay" in browser.get("/backups/prune").text
        assert browser.get("/backups/prune?keep=nonsense").status_code == 422
        assert browser.post("/backups/prune", data=token).status_code == 303
        assert "Backups" in browser.get("/").text


def test_writers_back_up_and_verify_but_choose_no_place_and_restore_nothing(studio, name):
    made = studio.services.backups.create(order(name))
    writer, reader = studio.token_of("write", "read"), studio.token_of("read")

    def status(method, path, token, **options):
        return studio.request(method, path, token=token, **options).status_code

    one = f"/backups/{made.id}"
    assert status("GET", "/backups", "") == 401
    assert status("GET", one, reader) == 200
    assert status("POST", "/backups", reader, json={"database": name}) == 403
    for wanted in (
        {"to": "/tmp/x"},
        {"encrypt": True, "key": "secret://env/K"},
        {"database": "secret://env/X"},
    ):
        assert status("POST", "/backups", writer, json={"database": name, **wanted}) == 403
    assert status("POST", f"{one}/verify", writer, json={"source": "/etc"}) == 403
    for path, body in ((f"{one}/restore", {"into": "x"}), ("/backups/prune", {}), ("/backups/rebuild", {})):
        assert status("POST", path, writer, json=body) == 403
    assert status("POST", f"{one}/restore", studio.token, json={"into": ""}) == 422
    assert status("GET", "/backups/../../etc", studio.token) in (404, 422)
    answer = studio.request("GET", one)
    assert studio.request("GET", one, headers={"If-None-Match": answer.headers["etag"]}).status_code == 304


def test_lists_come_in_pages(studio, name):
    made = [studio.services.backups.create(order(name)).id for _ in range(3)]
    first = studio.client.get("/backups", limit=2)
    assert [each["id"] for each in first["items"]] == made[:0:-1]
    assert [
        each["id"] for each in studio.client.get("/backups", limit=2, after=first["next"])["items"]
    ] == made[:1]
