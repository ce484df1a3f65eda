"""Orphaned files are swept, and a sweep in the middle of a publish of the same content takes nothing away."""

from datetime import timedelta

import pytest

from tests.integration.registry.publishing import Publisher

SOON = timedelta(days=-1)  # also what was stored just now


@pytest.fixture
def publisher(registry, tmp_path):
    return Publisher(registry, tmp_path / "wheels")


def stored(registry):
    return sorted(path.name for path in registry.settings.data_dir.glob("blobs/??/*"))


def sweep(registry, after=SOON):
    return registry.run(registry.services.releases.sweep_blobs(after=after))


def test_only_what_nobody_wants_is_swept(registry, publisher, tmp_path):
    publisher.list()
    before = stored(registry)
    orphan = tmp_path / "orphan"
    orphan.write_bytes(b"left by a publish that was cut off")
    registry.run(registry.services.blobs.put(orphan, 1000))
    assert sweep(registry, timedelta(hours=1)) == 0
    assert len(stored(registry)) == 3
    assert sweep(registry) == 1
    assert stored(registry) == before


def test_a_sweep_that_looked_before_the_claim_brings_the_file_back(registry, publisher, monkeypatch):
    """Seen red: without the second look after setting aside, the listed release has no file."""
    wheel, releases = publisher.wheel(), registry.services.releases
    wanted = releases._store.wanted
    looks = []

    async def first_look_is_early(sha256):
        looks.append(sha256)
        return False if looks.count(sha256) == 1 else await wanted(sha256)

    assert publisher.send(wheel).status_code == 202
    before = stored(registry)
    monkeypatch.setattr(releases._store, "wanted", first_look_is_early)
    assert sweep(registry) == 0
    assert stored(registry) == before


def test_a_publish_whose_files_a_sweep_has_just_taken_puts_them_again(registry, publisher, monkeypatch):
    """Seen red: without the look after the claim, the release that was accepted has no file."""
    releases = registry.services.releases
    claim = releases._store.claim

    async def swept_just_before(wanted):
        assert await releases.sweep_blobs(after=SOON) == 2
        return await claim(wanted)

    monkeypatch.setattr(releases._store, "claim", swept_just_before)
    answer = publisher.publish()
    assert answer["sha256"] in stored(registry)
    assert len(stored(registry)) == 2
