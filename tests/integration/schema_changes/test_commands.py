"""The commands, with and without a studio."""

import json
import re
import threading

import psycopg
import pytest

from dteg.cli.main import run_app


@pytest.fixture
def db(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a integer)")
        yield connection


@pytest.fixture(params=["library", "studio"])
def dteg(request, studio_project, monkeypatch, capsys):
    """Run a command; return what it printed."""
    url = []
    if request.param == "studio":
        studio = request.getfixturevalue("studio")
        monkeypatch.setenv("DTEG_STUDIO_TOKEN", studio.token)
        url = ["--url", studio.url]

    def run(*arguments, code=0):
        assert run_app([*arguments, *url]) == code, capsys.readouterr()
        out, err = capsys.readouterr()
        return out if code == 0 else err

    return run


def test_commands(dteg, db):
    name = db.info.dbname
    assert "nobody listens yet" in dteg("schema-changes")
    assert f"listening to {name} by triggers" in dteg("listen", "--truncate", "t")
    db.execute("ALTER TABLE t ALTER a TYPE bigint; TRUNCATE t")
    table = dteg("schema-changes")
    assert "ALTER TABLE public.t; a integer -> bigint" in table
    assert "TRUNCATE public.t" in table
    found = [
        json.loads(line)
        for line in dteg("schema-changes", name, "--since", "1h", "--format", "jsonl").splitlines()
    ]
    assert [each["command"] for each in found] == ["TRUNCATE", "ALTER TABLE"]
    assert found[1]["columns"] == [
        {"name": "a", "change": "retyped", "old_type": "integer", "new_type": "bigint"}
    ]
    assert "triggers" in dteg("schema-changes", "--status")
    assert dteg("schema-changes", "--breaks", "--format", "json").strip() == "[]"
    assert "no open break" in dteg("schema-changes", "--dismiss", "7", code=1)
    assert "write a time such as" in dteg("schema-changes", "--since", "yesterday", code=2)
    assert "add --follow" in dteg("listen", "--for", "1s", code=2)
    assert "use one of table" in dteg("schema-changes", "--format", "xml", code=2)
    assert f"not listening to {name} any more" in dteg("unlisten")
    assert "nobody listens to" in dteg("unlisten", code=1)
    assert "there is no database" in dteg("listen", "no_such_database", code=1)


def test_following_prints_changes_as_they_happen(dteg, db):
    def change():
        number = 0
        while not ended.wait(0.3):  # again and again: what comes before somebody follows is not shown
            number += 1
            db.execute(f"ALTER TABLE t ADD b{number} text")

    ended = threading.Event()
    thread = threading.Thread(target=change)
    thread.start()
    seen = dteg("listen", "--follow", "--for", "6s")
    ended.set()
    thread.join()
    assert re.search(r"postgres  ALTER TABLE public\.t; b\d+ text added", seen)
