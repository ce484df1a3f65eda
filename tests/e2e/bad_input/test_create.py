"""Hundreds of broken files through `dteg create`: a clear message each, and a database that has not changed.

All in one test and one process, because most of the time of such a case is else the start of a process. How the check
"unchanged" was seen to fail: with a loader that commits before it refuses a bad row, and with a schema that is left behind.
"""

import re
from collections import Counter

import psycopg
import pytest

from dteg.cli.main import run_app
from dteg.core.errors import DtegError
from dteg.core.project import Project
from dteg.tables.models import CreateRequest
from dteg.tables.requests import checked
from dteg.tables.service import Tables
from tests.e2e.bad_input.file_cases import FileCase, all_cases
from tests.e2e.bad_input.fingerprint import fingerprint

pytestmark = pytest.mark.e2e
MAX_MESSAGE = 2_000
LEAST_CASES = 300
LOOK_EVERY = 100


def write(case: FileCase, folder) -> None:
    for name, content in {case.file: case.content, **case.more}.items():
        path = folder / name.rstrip("/")
        if name.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
        elif content is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content() if callable(content) else content
            path.write_bytes(data if isinstance(data, bytes) else data.encode())


def outcome(case: FileCase, tables: Tables) -> str:
    """Return what is wrong with how a case ends; "" if nothing."""
    try:
        tables.create(checked(CreateRequest, table="fresh.bad", **case.request), case.file)
    except DtegError as error:
        message = str(error)
    except Exception as error:  # noqa: BLE001 - to be told with its case
        return f"{type(error).__name__}: {error}"
    else:
        return "was loaded"
    if not re.search(case.says, message):
        return f"says {message!r}, not {case.says!r}"
    if len(message) > MAX_MESSAGE or "Traceback" in message or re.search(r"\x1b|\0", message):
        return f"says it badly: {message[:200]!r}"
    return ""


def test_broken_files_are_refused_and_change_nothing(postgres_url, project, monkeypatch, tmp_path):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    tables = Tables.of(Project(project))
    (tmp_path / "good.csv").write_text("id\n1\n")
    tables.create(CreateRequest(table="raw.good"), str(tmp_path / "good.csv"))
    before = fingerprint(postgres_url)
    cases, wrong = all_cases(), []
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(case, folder)
        monkeypatch.chdir(folder)
        if problem := outcome(case, tables):
            wrong.append(f"{case.name}: {problem}")
        if number % LOOK_EVERY == 0 or problem:
            assert fingerprint(postgres_url) == before, case.name
    assert fingerprint(postgres_url) == before
    assert wrong == []
    print(f"{len(cases)} broken files refused, nothing changed")


def test_there_are_enough_cases_and_their_names_are_unique():
    names = Counter(case.name for case in all_cases())
    assert max(names.values()) == 1
    assert len(names) >= LEAST_CASES


def test_the_last_word_is_said_by_the_command(project, postgres_url, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DTEG_POSTGRES_URL", postgres_url)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d.csv").write_text("a,b\n1\n")
    assert run_app(["create", "d.csv", "raw.bad"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert "error: raw.bad: more than max_bad_rows: 0" in output.err
    assert "d.csv (row 1): 1 columns where the header has 2" in output.err
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT to_regclass('raw.bad')").fetchone() == (None,)
