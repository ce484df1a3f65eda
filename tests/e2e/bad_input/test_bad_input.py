"""Each broken input gives one clear message with its place, no traceback, and an unchanged database.

The database of all refusals is the same one, so a case that changes it also disturbs the later ones.

How the check "unchanged" was seen to fail, with four faults put into the PostgreSQL loader one after the other:
`COMMIT; BEGIN` after each batch of an append (wrong-type-late turns red), the same after `publish.alter`
(new-column-and-bad-row), a `TRUNCATE` before `BEGIN` (ragged-replace), and a checkpoint saved on a second
connection (row-too-long: only the hash of `_dteg.checkpoints` differs).
"""

import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dteg.cli.main import run_app
from tests.e2e.bad_input.case import GOOD_PIPELINE, PIPELINE, TARGET, Case, matches
from tests.e2e.bad_input.corpus import CASES, REFERENCE, reference
from tests.e2e.bad_input.fingerprint import fingerprint, has_table, rows_of

pytestmark = pytest.mark.e2e
MAX_MESSAGE = 2_000
DTEG = Path(sys.executable).with_name("dteg")
REFUSED = [case for case in CASES if case.loaded is None]
LOADED = [case for case in CASES if case.loaded is not None]
FROM_OUTSIDE = ("pipeline file/tab", "pipeline file/secret-literal", "csv/latin-1", "csv/row-too-short", "json/lines-truncated", "parquet/truncated")  # fmt: skip


def name_of(case: Case) -> str:
    return f"{case.kind}/{case.name}"


def check_message(case: Case, message: str, what: str = "") -> None:
    assert not matches(case, message), message
    assert "Traceback" not in message
    assert "This is a bug in dteg" not in message
    assert not re.search(r"\x1b|\0", message)
    assert len(message) < MAX_MESSAGE
    assert len(re.findall(r"^error: ", message, re.MULTILINE)) == 1, message
    if case.hides:
        assert case.hides not in message


@pytest.mark.parametrize("case", REFUSED, ids=name_of)
def test_refusal_says_what_and_where_and_changes_nothing(case, project, unchanged_url, monkeypatch, capsys):
    monkeypatch.setenv("DTEG_POSTGRES_URL", unchanged_url)
    before = fingerprint(unchanged_url)
    path = case.make(project)
    started = time.monotonic()
    code = run_app(["run", str(path), *case.arguments])
    seconds = time.monotonic() - started
    output = capsys.readouterr()
    assert (code, output.out) == (case.code, ""), output.err
    check_message(case, output.err)
    assert fingerprint(unchanged_url) == before
    assert seconds < 30


@pytest.mark.parametrize("case", LOADED, ids=name_of)
def test_outcome_is_exactly_what_the_reference_says(case, project, copied_url, monkeypatch, capsys):
    monkeypatch.setenv("DTEG_POSTGRES_URL", copied_url)
    before = fingerprint(copied_url)
    code = run_app(["run", str(case.make(project))])
    output = capsys.readouterr()
    assert code == case.code, output.err
    assert "error" not in output.err
    assert not matches(case, output.out) if case.says else not case.code
    after = fingerprint(copied_url)
    assert rows_of(copied_url, TARGET, "id, name, amount", "id") == list(case.loaded)
    letters = f"{TARGET}__dead_letters"
    assert has_table(copied_url, letters) == bool(case.set_aside)
    if case.set_aside:
        found = rows_of(copied_url, letters, "position, reason", "id")
        assert [position for position, _ in found] == [position for position, _ in case.set_aside]
        assert all(
            re.search(wanted, reason) for (_, reason), (_, wanted) in zip(found, case.set_aside, strict=True)
        )
    allowed = {TARGET, letters, f"{letters}_id_seq", f"{letters}_pkey", "_dteg.loads", "_dteg.checkpoints"}
    assert {name for name in before | after if before.get(name) != after.get(name)} <= allowed
    assert before[TARGET][:2] == after[TARGET][:2]


@pytest.mark.parametrize("case", [case for case in CASES if name_of(case) in FROM_OUTSIDE], ids=name_of)
def test_the_installed_command_behaves_the_same(case, project, unchanged_url, monkeypatch):
    monkeypatch.setenv("DTEG_POSTGRES_URL", unchanged_url)
    before = fingerprint(unchanged_url)
    done = subprocess.run(
        [DTEG, "run", case.make(project)], capture_output=True, text=True, timeout=150, check=False
    )
    assert done.returncode == case.code
    assert done.stdout == ""
    check_message(case, done.stderr)
    assert fingerprint(unchanged_url) == before


def test_a_name_without_a_pipeline_says_which_there_are(project, capsys):
    (project / "pipelines" / "flights.yaml").write_text(GOOD_PIPELINE)
    assert run_app(["run", "flihgts"]) == 2
    assert (
        "there is no pipeline 'flihgts' in pipelines/; did you mean \"flights\"?" in capsys.readouterr().err
    )


def test_a_bug_shows_neither_traceback_nor_password(project, monkeypatch, capsys):
    def fail(*arguments, **options):
        raise RuntimeError("cannot open postgresql://me:hunter2@db/x")

    monkeypatch.setattr("dteg.pipelines.plan.load_pipeline", fail)
    (project / PIPELINE).write_text(GOOD_PIPELINE)
    assert run_app(["run", str(project / PIPELINE)]) == 1
    message = capsys.readouterr().err
    assert "error: unexpected RuntimeError: cannot open postgresql://me:" in message
    assert "hunter2" not in message
    assert "Traceback" not in message


def test_the_corpus_is_large_and_its_names_are_unique():
    assert max(Counter(map(name_of, CASES)).values()) == 1
    assert set(FROM_OUTSIDE) <= set(map(name_of, CASES))
    assert len(CASES) >= 90


def test_the_reference_page_is_in_step_with_the_corpus():
    assert REFERENCE.read_text() == reference(), "write it anew: python -m tests.e2e.bad_input.corpus"
