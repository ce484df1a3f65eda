"""The commands, here and through a studio."""

import json

import pytest

from dteg.cli.main import run_app
from studio.testing import running_studio
from tests.integration.backups import samples


@pytest.fixture(params=["here", "studio"])
def dteg(request, project, capsys):
    """Run a command; return exit code, what it printed and what it said to standard error."""

    def run(*words):
        code = run_app([str(word) for word in words])
        told = capsys.readouterr()
        return code, told.out, told.err

    if request.param == "here":
        yield run
        return
    with running_studio(project) as studio, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DTEG_STUDIO_URL", studio.url)
        patch.setenv("DTEG_STUDIO_TOKEN", studio.token)
        yield run


def test_a_journey_of_commands(dteg, name, new_name):
    code, out, _ = dteg("backup", name, "--encrypt")
    assert code == 0
    assert f"{samples.TABLES} tables, {samples.ROWS:,} rows" in out
    assert "encrypted" in out
    backup_id = out.partition(":")[0]
    code, out, _ = dteg("backups", name, "--json")
    assert [each["id"] for each in json.loads(out)] == [backup_id]
    code, out, _ = dteg("backup", "verify", backup_id, "--restore", "--json")
    assert (code, json.loads(out)["restored"]) == (0, True)
    into = new_name("by_command")
    code, out, _ = dteg("restore", backup_id, "--into", into)
    assert (code, "all equal" in out) == (0, True)
    code, out, err = dteg("restore", backup_id, "--into", into)
    assert (code, "--swap" in err) == (1, True)
    code, out, _ = dteg("restore", backup_id, "--into", into, "--swap")
    assert f"is now {into}_before_" in out
    code, out, _ = dteg("backups")
    assert "restored 20" in out
    code, out, _ = dteg("backups", "--to", "backups")
    assert backup_id in out
    code, out, _ = dteg("backup", "prune", "--dry-run")
    assert f"keep {backup_id}" in out
    code, out, _ = dteg("backup", "key")
    assert (code, len(out.strip())) == (0, 44)


def test_wrong_words_are_said_in_ours(dteg, name):
    for words, code, text in (
        (
            ("backup", "no_such_database"),
            1,
            "there is no database 'no_such_database' on the warehouse's server; ",
        ),
        (("backup", "verfy"), 1, 'or, for a command, did you mean "verify"?'),
        (("backup", "mysql://me:secret@h/x"), 2, "password"),
        (("backup", name, "--key", "secret://env/K"), 2, "--encrypt"),
        (("backup", name, "--to", "ftp://x"), 2, "sftp://"),
        (("backup", "verify", "nothing-20260101T000000Z-000000"), 1, "no backup"),
        (("restore", "nonsense", "--into", "x"), 1, "there is no backup nonsense"),
        (("backup", "prune", "--keep", "hourly=1"), 2, "--keep"),
    ):
        found, out, err = dteg(*words)
        assert (found, text in out + err) == (code, True), (words, out, err)
        assert "secret@" not in out + err
        assert "Traceback" not in err
