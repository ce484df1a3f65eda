"""Backup and restore: equal afterwards, and a backup that was touched is refused before anything is written."""

import json
import shutil

import pytest

from dteg.core.errors import ConfigError, ConflictError, EnvironmentProblemError
from registry.backup.export import back_up
from registry.backup.models import BackupError
from registry.backup.restore import restore, verify_backup
from registry.testing import running_registry
from tests.integration.registry.publishing import KnownProver, Publisher, run_gates


@pytest.fixture
def publisher(registry, tmp_path):
    publisher = Publisher(registry, tmp_path / "wheels")
    for version in ("1.0.0", "1.1.0"):
        publisher.list(version)
    publisher.publish("1.2.0")
    base = "/components/streaming/numbers-extractor"
    yank = registry.request(
        "POST", f"{base}/releases/1.1.0/yank", json={"reason": "loses rows"}, token=publisher.token
    )
    assert yank.is_success
    return publisher


@pytest.fixture
def empty(mongodb_url, tmp_path):
    with running_registry(mongodb_url, tmp_path / "empty") as running:
        running.run(running.services.database.drop())
        yield running


@pytest.fixture
def backup(registry, publisher, tmp_path):
    folder = tmp_path / "backup"
    registry.run(back_up(registry.services, folder))
    return folder


async def everything(services):
    left_out = {"rate", "meta"}
    return {
        name: [document async for document in services.database[name].find({}, sort=[("_id", 1)])]
        for name in await services.database.collections()
        if name not in left_out
    }


def test_what_is_restored_is_what_was_there(registry, publisher, empty, tmp_path):
    before = registry.run(everything(registry.services))
    manifest, sha256 = registry.run(back_up(registry.services, tmp_path / "backup"))
    restored = empty.run(restore(empty.services, tmp_path / "backup", sha256))
    assert restored == manifest
    after = empty.run(everything(empty.services))
    assert after == {name: documents for name, documents in before.items() if documents or name in after}
    assert len(before["versions"]) == 3
    assert {path.name for path in empty.settings.data_dir.glob("blobs/??/*")} == set(manifest.blobs)
    assert empty.run(empty.services.attestations.verify_log()).ok
    assert empty.run(empty.services.audit.verify()).ok


def test_a_restored_registry_goes_on_working(backup, publisher, empty, registry):
    # The keys are kept apart from the backup.
    shutil.copy(registry.settings.data_dir / "registry.key", empty.settings.data_dir / "registry.key")
    empty.services.__dict__.pop("attestations", None)
    kept = [empty.settings.data_dir / name for name in ("index.json", "search.jsonl")]
    for path in kept:
        path.write_text("what was seen before")
    empty.run(restore(empty.services, backup))
    assert not any(path.exists() for path in kept), "it would be believed at the next start"
    assert run_gates(empty, KnownProver()) == 1
    release = empty.run(empty.services.releases.get("streaming/numbers-extractor", "1.2.0"))
    assert release.state == "listed"
    answer = empty.request("GET", f"//files/{release.sha256}/{release.filename}")
    assert len(answer.content) == release.size
    assert empty.run(empty.services.attestations.verify_log()).ok


def damage_collection(folder):
    path = folder / "collections" / "versions.jsonl"
    path.write_text(path.read_text().replace('"rejected"', '"listed"').replace('"yanked"', '"listed"'))


def damage_blob(folder):
    path = min(folder.glob("blobs/??/*"))
    path.write_bytes(path.read_bytes()[:-1] + b"!")


def lose_blob(folder):
    min(folder.glob("blobs/??/*")).unlink()


def forget_blob(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    gone = min(manifest["blobs"])
    del manifest["blobs"][gone]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "blobs" / gone[:2] / gone).unlink()


def add_collection(folder):
    (folder / "collections" / "evil.jsonl").write_text("{}\n")


def lose_manifest(folder):
    (folder / "manifest.json").unlink()


def climb_out(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["collections"]["../../x"] = manifest["collections"]["versions"]
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    "damage",
    [damage_collection, damage_blob, lose_blob, forget_blob, add_collection, lose_manifest, climb_out],
    ids=lambda each: each.__name__,
)
def test_a_touched_backup_is_refused_before_anything_is_written(backup, empty, damage):
    verify_backup(backup)
    damage(backup)
    with pytest.raises(BackupError):
        empty.run(restore(empty.services, backup))
    assert empty.run(everything(empty.services)) == {}
    assert list(empty.settings.data_dir.glob("blobs/??/*")) == []


def test_a_forged_backup_does_not_have_the_hash_that_was_printed(registry, publisher, tmp_path):
    folder = tmp_path / "backup"
    _, sha256 = registry.run(back_up(registry.services, folder))
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["made_at"] = "2020-01-01T00:00:00Z"
    (folder / "manifest.json").write_text(json.dumps(manifest))
    verify_backup(folder)
    with pytest.raises(BackupError, match="is not the manifest with the SHA-256"):
        verify_backup(folder, sha256)


def test_a_registry_in_use_is_not_overwritten(registry, backup):
    with pytest.raises(ConflictError, match="the database is not empty"):
        registry.run(restore(registry.services, backup))
    assert len(registry.run(everything(registry.services))["versions"]) == 3


def test_a_restore_that_was_cut_off_is_noticed_and_begun_anew(backup, empty, monkeypatch):
    """Seen red: without the look at the note in `meta` the half registry is prepared for serving."""
    from registry.backup import restore as module

    fill = module._fill

    async def cut_off(services, folder, name):
        if name == "versions":
            raise OSError("no space left")
        await fill(services, folder, name)

    monkeypatch.setattr(module, "_fill", cut_off)
    with pytest.raises(OSError, match="no space"):
        empty.run(restore(empty.services, backup))
    with pytest.raises(ConfigError, match="a restore of this database was cut off"):
        empty.run(empty.services.prepare())
    monkeypatch.undo()
    empty.run(restore(empty.services, backup))
    assert len(empty.run(everything(empty.services))["versions"]) == 3
    empty.run(empty.services.prepare())


def test_a_backup_is_not_mixed_with_other_files(registry, publisher, backup):
    with pytest.raises(EnvironmentProblemError, match="not an empty folder"):
        registry.run(back_up(registry.services, backup))
    assert {path.stat().st_mode & 0o777 for path in backup.rglob("*") if path.is_file()} == {0o600}
