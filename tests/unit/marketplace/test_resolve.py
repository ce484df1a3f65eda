from datetime import UTC, datetime, timedelta

import pytest

from dteg.core.errors import NotFoundError
from dteg.marketplace.records import Cell, Release, Rollout
from dteg.marketplace.resolve import Here, UnsuitableError, Wish, choose_release
from dteg.versions import parse_range

NOW = datetime(2026, 6, 1, tzinfo=UTC)
HERE = Here("0.1.0", "3.11.7")
MANIFEST = {
    "name": "kafka", "namespace": "streaming", "version": "1.0.0", "kind": "extractor", "author": "test",
    "description": "Made for one test", "category": "other", "entry_point": "kafka:Kafka",
}  # fmt: skip


def release(version, *, age_days=100, manifest=None, **more):
    fields = {
        "component": "streaming/kafka-extractor", "version": version, "state": "listed", "sha256": "ab" * 32,
        "filename": "x.whl", "size": 1, "manifest": {**MANIFEST, "version": version, **(manifest or {})},
        "published_at": NOW - timedelta(days=age_days), **more,
    }  # fmt: skip
    return Release.model_validate(fields)


def chosen(releases, **wish):
    return choose_release("streaming/kafka-extractor", releases, Wish(**wish), NOW, HERE)


def refused(releases, **wish):
    with pytest.raises(UnsuitableError) as caught:
        chosen(releases, **wish)
    return str(caught.value)


def passed(python="3.11", dteg="0.1.0", status="passed"):
    return [Cell(dteg=dteg, python=python, status=status)]


def test_the_newest_wins():
    assert chosen([release("1.2.0"), release("1.10.0"), release("1.9.0")]).release.version == "1.10.0"


def test_a_range_is_kept():
    releases = [release("1.2.0"), release("1.10.0"), release("2.0.0")]
    assert chosen(releases, ranges=[parse_range("^1")]).release.version == "1.10.0"
    assert chosen(releases, ranges=[parse_range("^1"), parse_range("<1.5")]).release.version == "1.2.0"
    assert "2.0.0: is not in >=3" in refused(releases, ranges=[parse_range(">=3")])


def test_a_candidate_wants_to_be_asked_for():
    releases = [release("1.0.0"), release("1.1.0rc1")]
    assert chosen(releases).release.version == "1.0.0"
    assert chosen(releases, prereleases=True).release.version == "1.1.0rc1"
    assert chosen(releases, ranges=[parse_range("1.1.0rc1")], exact="1.1.0rc1").release.version == "1.1.0rc1"
    assert "take it with --pre" in refused([release("1.1.0rc1")], ranges=[parse_range(">=1")])


def test_what_is_proven_here_comes_before_what_is_newer():
    releases = [release("1.0.0", compatibility=passed()), release("1.1.0", compatibility=passed("3.13"))]
    found = chosen(releases)
    assert (found.release.version, found.proven) == ("1.0.0", True)
    assert "1.1.0 is newer, but not proven with dteg 0.1.0 on Python 3.11" in found.notes[0]
    assert chosen(releases, ranges=[parse_range("1.1.0")], exact="1.1.0").release.version == "1.1.0"


def test_what_failed_here_is_never_chosen():
    releases = [release("1.0.0"), release("1.1.0", compatibility=passed(status="failed"))]
    assert chosen(releases).release.version == "1.0.0"
    assert "failed its tests with dteg 0.1.0 on Python 3.11" in refused(releases[1:])


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        ({"framework_versions": ">=0.2,<1"}, "needs dteg >=0.2,<1, this is 0.1.0"),
        ({"python_versions": ">=3.12"}, "needs Python >=3.12, this is 3.11.7"),
    ],
)
def test_what_does_not_fit_is_passed_over(manifest, reason):
    releases = [release("1.0.0"), release("1.1.0", manifest=manifest)]
    found = chosen(releases)
    assert found.release.version == "1.0.0"
    assert reason in found.notes[0]
    assert reason in refused(releases[1:])


@pytest.mark.parametrize("state", ["pending", "testing", "rejected", "quarantined", "removed", "yanked"])
def test_only_listed_releases_are_chosen(state):
    releases = [release("1.0.0"), release("1.1.0", state=state, reason="bad rows")]
    assert chosen(releases).release.version == "1.0.0"
    assert "bad rows" in refused(releases[1:])


def test_who_has_a_yanked_release_keeps_it():
    releases = [release("1.0.0", state="yanked", reason="bad rows"), release("1.1.0")]
    found = chosen(releases, keep="1.0.0")
    assert (found.release.version, found.notes) == ("1.0.0", ("1.0.0 was yanked: bad rows",))


def test_nobody_keeps_a_quarantined_release():
    releases = [release("1.0.0", state="quarantined"), release("1.1.0")]
    assert chosen(releases, keep="1.0.0").release.version == "1.1.0"


def test_young_releases_wait():
    releases = [release("1.0.0"), release("1.1.0", age_days=2)]
    assert chosen(releases, min_age=timedelta(days=3)).release.version == "1.0.0"
    assert chosen(releases, min_age=timedelta(days=1)).release.version == "1.1.0"
    assert "younger than the least age of 3 days" in refused(releases[1:], min_age=timedelta(days=3))


def test_a_rollout_reaches_a_part_of_the_installations():
    releases = [release("1.0.0"), release("1.1.0", rollout=Rollout(percent=30))]
    assert chosen(releases, share=29).release.version == "1.1.0"
    assert chosen(releases, share=30).release.version == "1.0.0"
    assert chosen(releases, share=99, exact="1.1.0", ranges=[parse_range("1.1.0")]).release.version == "1.1.0"


def test_a_halted_rollout_reaches_nobody_new():
    releases = [release("1.0.0"), release("1.1.0", rollout=Rollout(halted=True))]
    assert chosen(releases, share=0).release.version == "1.0.0"
    assert chosen(releases, keep="1.1.0").release.version == "1.1.0"
    assert "halted" in refused(releases, exact="1.1.0", ranges=[parse_range("1.1.0")])


def test_no_release_at_all():
    with pytest.raises(NotFoundError):
        chosen([])
