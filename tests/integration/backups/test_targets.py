"""One suite for all targets: a folder, S3 as moto plays it, and SFTP.

NOT RUN HERE: GOOGLE CLOUD STORAGE AND AZURE. They are the same code as S3 (`ObjectTarget`, through obstore). Azure was
tried by hand against the emulator Azurite; nothing was tried against Google's store.
"""

import contextlib
import hashlib
import stat

import pytest

from dteg.backups.errors import DamagedBackupError
from dteg.backups.targets import open_target
from dteg.core.errors import ConfigError, ConflictError, NotFoundError, UnavailableError

ID = "shop-20261121T093000Z-abcdef"
LATER = "shop-20261122T093000Z-000000"
OTHER = "other-20261121T093000Z-abcdef"
CONTENT = b"0123456789" * 100_000


@pytest.fixture(params=["file", "s3", "sftp"])
def target(request, project, tmp_path):
    uri = (
        (tmp_path / "there").as_uri()
        if request.param == "file"
        else request.getfixturevalue(f"{request.param}_uri")
    )
    target = open_target(uri, project)
    with target.lock("made"):
        pass
    return target


def write(target, backup_id=ID, content=CONTENT):
    draft = target.begin(backup_id, len(content))
    with draft.file("data") as put:
        for at in range(0, len(content), 300_000):
            put(content[at : at + 300_000])
    with draft.file("contents") as put:
        put(b"{}")
    return draft


def read(target, backup_id=ID, name="data"):
    with target.open(backup_id, name) as source:
        parts = []
        while part := source.read(100_000):
            parts.append(part)
        return b"".join(parts)


def test_a_backup_is_there_when_it_is_published_and_not_before(target):
    assert target.ids() == []
    draft = write(target)
    assert target.ids() == []
    draft.publish(b"manifest")
    write(target, LATER).publish(b"later")
    assert target.ids() == [ID, LATER]
    assert target.manifest(ID) == b"manifest"
    assert hashlib.sha256(read(target)).digest() == hashlib.sha256(CONTENT).digest()
    assert read(target, name="contents") == b"{}"


def test_what_is_discarded_leaves_nothing(target):
    write(target).discard()
    assert target.ids() == []
    with target.lock("shop"):
        assert target.clean("shop") == []


def test_leftovers_of_the_same_database_are_cleaned(target):
    write(target)
    write(target, OTHER)
    write(target, LATER).publish(b"m")
    with target.lock("shop"):
        assert target.clean("shop") == [ID]
        assert target.clean("shop") == []
    assert target.ids() == [LATER]
    with target.lock("other"):
        assert target.clean("other") == [OTHER]


def test_a_removed_backup_is_gone(target):
    write(target).publish(b"m")
    target.remove(ID)
    assert target.ids() == []
    with pytest.raises(NotFoundError):
        target.manifest(ID)
    write(target).publish(b"again")
    assert target.manifest(ID) == b"again"


def test_only_one_at_a_time_works_on_a_database(target, project):
    """Seen red: with a lock that is taken whether it is free or not."""
    twin = open_target(target.uri, project)
    with target.lock("shop"):
        with pytest.raises(ConflictError, match="another"), twin.lock("shop"):
            pass
        with twin.lock("other"):
            pass
    with twin.lock("shop"):
        pass


def test_what_is_not_there_is_an_error(target):
    for wrong in (ID, "../../etc/passwd", "x"):
        with pytest.raises(NotFoundError):
            target.manifest(wrong)
    with pytest.raises(DamagedBackupError), target.open(ID, "data"):
        pass


def test_an_old_lock_is_taken_over(request, project, monkeypatch):
    """A killed process gives its lock of a folder back at once; at other targets it runs out."""
    for kind in ("s3", "sftp"):
        uri = request.getfixturevalue(f"{kind}_uri")
        target = open_target(uri, project)
        stack = contextlib.ExitStack()
        stack.enter_context(target.lock("shop"))
        module = "objects" if kind == "s3" else "sftp"
        monkeypatch.setattr(f"dteg.backups.targets.{module}.LEASE_S", -5)
        with open_target(uri, project).lock("shop"):
            pass
        stack.close()


def test_files_of_a_folder_are_for_their_owner_only(project, tmp_path):
    target = open_target((tmp_path / "there").as_uri(), project)
    with target.lock("shop"):
        write(target).publish(b"m")
    folders = [tmp_path / "there", tmp_path / "there" / ID]
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders} == {0o700}
    assert {stat.S_IMODE(each.stat().st_mode) for each in folders[1].iterdir()} == {0o600}
    assert (tmp_path / "there" / ".gitignore").read_text() == "*\n"


def test_an_unknown_host_key_is_refused(sftp_uri, project, monkeypatch, tmp_path):
    (tmp_path / "nobody").write_text("")
    monkeypatch.setenv("DTEG_SFTP_KNOWN_HOSTS", str(tmp_path / "nobody"))
    with pytest.raises(ConfigError, match="not known"):
        open_target(sftp_uri, project).ids()


def test_a_store_that_does_not_answer_is_said_without_its_address(project, s3_uri, monkeypatch):
    monkeypatch.setattr("dteg.backups.targets.objects._RETRIES", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError) as error:
        open_target(s3_uri, project).ids()
    assert "127.0.0.1" not in str(error.value)
