import json

import pytest

from dteg.core.errors import ConflictError, EnvironmentProblemError
from dteg.marketplace.environment import Environment
from dteg.marketplace.transaction import Change, change, is_unfinished, locked, recover

NAME, PACKAGE = "dteg-a-b-loader", "dteg_components/a/b_loader"


class KilledError(BaseException):
    """Ends the process as far as the code can see."""


@pytest.fixture
def environment(tmp_path):
    site = tmp_path / "venv" / "lib" / "site-packages"
    site.mkdir(parents=True)
    return Environment(site, tmp_path / "venv", tmp_path / "venv" / "bin" / "python")


def install(environment, version, *, half=False):
    """Write what an installer would write; half of it stops before the record."""
    package = environment.site / PACKAGE
    package.mkdir(parents=True, exist_ok=True)
    (package / "b.py").write_text(version)
    (package / f"only_in_{version}.py").write_text(version)
    if half:
        return
    info = environment.site / f"dteg_a_b_loader-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {NAME}\nVersion: {version}\n")
    script = environment.prefix / "bin" / "tool"
    script.parent.mkdir(exist_ok=True)
    script.write_text(version)
    (info / "RECORD").write_text(f"{PACKAGE}/b.py,,\n../../bin/tool,,\n../../../outside,,\n")


def uninstall(environment, version):
    import shutil

    shutil.rmtree(environment.site / "dteg_components")
    shutil.rmtree(environment.site / f"dteg_a_b_loader-{version}.dist-info")


def tree(environment):
    return {
        str(path.relative_to(environment.prefix)): path.read_text()
        for path in environment.prefix.rglob("*")
        if path.is_file() and environment.state_dir not in path.parents
    }


def run(environment, tmp_path, work):
    with locked(environment):
        change(environment, [Change(NAME, PACKAGE)], tmp_path / "dteg.lock", "new lock", work)


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("half", [True, False])
def test_an_error_brings_back_every_file(environment, tmp_path, error, half):
    outside = tmp_path / "outside"
    outside.write_text("not ours")
    install(environment, "1.0.0")
    before = tree(environment)

    def work():
        uninstall(environment, "1.0.0")
        install(environment, "2.0.0", half=half)
        raise error

    with pytest.raises(error):
        run(environment, tmp_path, work)
    assert tree(environment) == before
    assert not is_unfinished(environment)
    assert not (tmp_path / "dteg.lock").exists()
    assert outside.read_text() == "not ours"


@pytest.mark.parametrize("half", [True, False])
def test_after_a_kill_the_next_one_brings_it_back(environment, tmp_path, monkeypatch, half):
    install(environment, "1.0.0")
    before = tree(environment)

    def work():
        uninstall(environment, "1.0.0")
        install(environment, "2.0.0", half=half)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr("dteg.marketplace.transaction.recover", lambda environment: "")
        with pytest.raises(KilledError):
            run(environment, tmp_path, work)
    assert is_unfinished(environment)
    assert tree(environment) != before
    with locked(environment):
        assert "was undone" in recover(environment)
        assert recover(environment) == ""
    assert tree(environment) == before


def test_a_kill_after_the_last_step_is_finished(environment, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("dteg.marketplace.transaction.recover", lambda environment: "")
        run(environment, tmp_path, lambda: install(environment, "1.0.0"))
    with locked(environment):
        assert "was finished" in recover(environment)
    assert (tmp_path / "dteg.lock").read_text() == "new lock"
    assert "dteg_a_b_loader-1.0.0.dist-info" in {path.name for path in environment.site.iterdir()}


def test_nothing_is_left_of_a_first_install_that_failed(environment, tmp_path):
    def work():
        install(environment, "1.0.0", half=True)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(environment, tmp_path, work)
    assert tree(environment) == {}
    assert list(environment.site.iterdir()) == []


def test_only_one_changes_an_environment(environment):
    with (
        locked(environment),
        pytest.raises(ConflictError, match="another dteg"),
        locked(environment, wait=False),
    ):
        pass


def test_a_damaged_journal_is_not_guessed_at(environment):
    environment.state_dir.mkdir()
    (environment.state_dir / "journal.json").write_text('{"state": ')
    with (
        locked(environment),
        pytest.raises(EnvironmentProblemError, match="make the virtual environment again"),
    ):
        recover(environment)


def test_the_journal_is_written_before_the_first_change(environment, tmp_path):
    install(environment, "1.0.0")

    def work():
        journal = json.loads((environment.state_dir / "journal.json").read_text())
        assert journal["state"] == "begun"
        assert len(journal["kept"]) == 5

    run(environment, tmp_path, work)
