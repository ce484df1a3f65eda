import pytest
import tomlkit

from dteg.core.errors import ConfigError
from dteg.marketplace.lockfile import Lock, LockedComponent, LockedDependency, read_lock

SHA = "ab" * 32
KAFKA = LockedComponent(
    id="streaming/kafka-extractor", version="1.2.0", filename="x-1.2.0-py3-none-any.whl", sha256=SHA, size=10,
    trust="attested", key_id="cd" * 32, range='^1.2, != "1.2.1"', capabilities=("filesystem", "network"),
    dependencies=("httpx>=0.28",),
)  # fmt: skip
HTTPX = LockedDependency("httpx", "0.28.1", ("sha256:" + SHA, "sha256:" + "ef" * 32))


def lock():
    return Lock("https://registry.test").with_components([KAFKA]).with_dependencies([HTTPX])


def test_what_is_written_is_read_again(tmp_path):
    path = tmp_path / "dteg.lock"
    path.write_text(lock().to_toml())
    found = read_lock(path)
    assert found == lock()
    assert found.to_toml() == lock().to_toml()


def test_a_lock_that_is_not_there_is_empty(tmp_path):
    assert read_lock(tmp_path / "dteg.lock") == Lock()


def test_a_component_is_replaced_and_removed():
    import dataclasses

    newer = dataclasses.replace(KAFKA, version="1.3.0")
    assert lock().with_components([newer]).components == {KAFKA.id: newer}
    assert lock().without(KAFKA.id).components == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(version=2), "is of version 2"),
        (lambda d: d["component"][0].update(sha256="x"), "damaged"),
        (lambda d: d["component"][0].update(id="../evil"), "damaged"),
        (lambda d: d["component"][0].update(filename="../evil.whl"), "damaged"),
        (lambda d: d["component"][0].update(more=1), "damaged"),
        (lambda d: d["component"][0].pop("size"), "damaged"),
        (lambda d: d["dependency"][0].update(name="--index-url=x"), "damaged"),
        (lambda d: d["dependency"][0].update(version="1 --hash=x"), "damaged"),
        (lambda d: d["dependency"][0].update(hashes=["md5:00"]), "damaged"),
    ],
)
def test_a_damaged_lock_is_refused(tmp_path, change, message):
    document = tomlkit.parse(lock().to_toml())
    change(document)
    path = tmp_path / "dteg.lock"
    path.write_text(tomlkit.dumps(document))
    with pytest.raises(ConfigError, match=message):
        read_lock(path)


def test_a_lock_with_marks_of_a_merge_is_refused(tmp_path):
    path = tmp_path / "dteg.lock"
    path.write_text("<<<<<<< ours\n" + lock().to_toml())
    with pytest.raises(ConfigError, match="cannot be read"):
        read_lock(path)
