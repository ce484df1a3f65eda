import pytest

from dteg.core.errors import ConflictError
from registry.releases.models import MOVES, State
from tests.integration.registry.publishing import KnownProver, Publisher, api, run_gates

NAME = "streaming/numbers-extractor@1.0.0"
PATH = "/components/streaming/numbers-extractor"


@pytest.fixture
def publisher(registry, tmp_path):
    return Publisher(registry, tmp_path / "wheels")


def post(registry, path, token, **body):
    return registry.request("POST", f"{PATH}/{path}", json=body, token=token)


def test_only_the_listed_moves_are_possible(registry, publisher):
    publisher.list()
    for expected in State:
        for to in State:
            if (expected, to) not in MOVES:
                with pytest.raises(ConflictError, match="never becomes"):
                    registry.run(registry.services.releases.move(NAME, expected=expected, to=to))
    with pytest.raises(ConflictError, match="is listed, not pending"):
        registry.run(registry.services.releases.move(NAME, expected=State.PENDING, to=State.TESTING))


def test_yank_says_why_and_to_whom_it_is_allowed(registry, publisher):
    publisher.list()
    registry.make_account("bob")
    path = "releases/1.0.0/yank"
    assert post(registry, path, registry.token_of("bob"), reason="spite").status_code == 403
    assert post(registry, path, publisher.token, reason="").status_code == 422
    answer = post(registry, path, publisher.token, reason="loses rows").json()
    assert (answer["state"], answer["reason"]) == ("yanked", "loses rows")
    assert post(registry, path, publisher.token, reason="loses rows").status_code == 409
    assert registry.request("GET", PATH).json()["latest"] == {"stable": None, "rc": None}
    back = registry.request("DELETE", f"{PATH}/{path}", token=publisher.token).json()
    assert (back["state"], back["reason"]) == ("listed", "")


def test_quarantine_is_for_administrators_and_gives_back_what_was(registry, publisher):
    publisher.list()
    registry.make_account("root", admin=True)
    admin, path = registry.token_of("root"), "releases/1.0.0/quarantine"
    post(registry, "releases/1.0.0/yank", publisher.token, reason="loses rows")
    assert post(registry, path, publisher.token, reason="mine").status_code == 403
    assert post(registry, path, admin, reason="malware").json()["state"] == "quarantined"
    assert registry.request("DELETE", f"{PATH}/{path}", token=admin).json()["state"] == "yanked"
    post(registry, path, admin, reason="malware after all")
    assert post(registry, "releases/1.0.0/removal", publisher.token, reason="malware").status_code == 403
    assert post(registry, "releases/1.0.0/removal", admin, reason="malware").json()["state"] == "removed"
    again = publisher.send(publisher.folder / "dteg_streaming_numbers_extractor-1.0.0-py3-none-any.whl")
    assert again.status_code == 409


def test_a_rejection_for_want_of_proof_can_be_tested_again_by_its_publisher(registry, publisher):
    answer = publisher.publish()
    for _ in range(2):
        run_gates(registry, KnownProver({"conformance": "unknown"}))
        registry.clock.advance(minutes=10)
    assert post(registry, "releases/1.0.0/retest", publisher.token).json()["state"] == "pending"
    assert run_gates(registry, KnownProver()) == 1
    assert registry.request("GET", api(answer["url"])).json()["state"] == "listed"
    assert post(registry, "releases/1.0.0/retest", publisher.token).status_code == 409


def test_a_failure_is_tested_again_only_for_an_administrator(registry, publisher):
    publisher.publish()
    run_gates(registry, KnownProver({"security": "failed"}))
    assert post(registry, "releases/1.0.0/retest", publisher.token).status_code == 403
    registry.make_account("root", admin=True)
    assert post(registry, "releases/1.0.0/retest", registry.token_of("root")).json()["state"] == "pending"


def test_a_partial_rollout_is_not_the_latest(registry, publisher):
    for version in ("1.0.0", "1.1.0"):
        publisher.list(version)
    path = "releases/1.1.0/rollout"
    assert post(registry, path, publisher.token).status_code == 422
    assert post(registry, path, publisher.token, percent=101).status_code == 422
    assert post(registry, path, publisher.token, percent=10).json()["rollout"] == {
        "percent": 10,
        "halted": False,
    }
    assert registry.request("GET", PATH).json()["latest"]["stable"] == "1.0.0"
    assert post(registry, path, publisher.token, halted=True).json()["rollout"] == {
        "percent": 10,
        "halted": True,
    }
    post(registry, path, publisher.token, halted=False, percent=100)
    assert registry.request("GET", PATH).json()["latest"]["stable"] == "1.1.0"


def test_deprecation_names_a_replacement_that_exists(registry, publisher):
    publisher.list()
    publisher.list(name="better")
    assert (
        post(registry, "deprecation", publisher.token, reason="old", replacement="streaming/none").status_code
        == 404
    )
    own = post(
        registry, "deprecation", publisher.token, reason="old", replacement="streaming/numbers-extractor"
    )
    assert own.status_code == 409
    rev = max(registry.run(registry.services.components.revs()).values())
    answer = post(
        registry, "deprecation", publisher.token, reason="old", replacement="streaming/better-extractor"
    ).json()
    assert (answer["status"], answer["deprecation"]["replacement"]) == (
        "deprecated",
        "streaming/better-extractor",
    )
    changed = registry.run(registry.services.components.changed_since(rev))
    assert [each.id for each in changed] == ["streaming/numbers-extractor"]
    back = registry.request("DELETE", f"{PATH}/deprecation", token=publisher.token).json()
    assert (back["status"], back["deprecation"]) == ("active", None)


def test_nothing_new_is_no_change(registry, publisher):
    publisher.list()
    rev = max(registry.run(registry.services.components.revs()).values())
    registry.run(registry.services.components.refresh("streaming/numbers-extractor"))
    assert registry.run(registry.services.components.changed_since(rev)) == []


def test_a_component_is_computed_when_a_release_is_seen_and_not_before(registry, publisher, monkeypatch):
    """What waits for its gates, or fails, changes nothing for anybody: a publish need not pay for it."""
    publisher.publish("1.0.0")
    components, name = registry.services.components, "streaming/numbers-extractor"
    first = registry.run(components.get(name))
    assert (first.rev > 0, first.listed) == (True, False)
    run_gates(registry, KnownProver())
    listed = registry.run(components.get(name))
    assert (listed.latest.stable, listed.rev > first.rev) == ("1.0.0", True)
    publisher.publish("1.1.0")
    run_gates(registry, KnownProver({"security": "failed"}))
    publisher.publish("1.2.0")
    assert registry.run(components.get(name)) == listed
    assert registry.run(components.refresh(name)) == listed
    run_gates(registry, KnownProver())
    assert registry.run(components.get(name)).latest.stable == "1.2.0"


def test_who_polls_misses_no_change(registry, publisher):
    """Seen red: with `_be_newest` empty and two processes, a poll between taking and writing a number misses it."""
    publisher.list()
    components = registry.services.components
    store = components._store

    async def late_write():
        """Another process takes a number, we are polled past it, and only then it writes."""
        before = await components.get("streaming/numbers-extractor")
        mine = await store.take_rev()
        theirs = await store.take_rev()
        seen = theirs
        assert await store.change(before.id, before.rev, {"rev": mine})
        await components._be_newest(before.id, mine)
        return seen

    seen = registry.run(late_write())
    assert [each.id for each in registry.run(components.changed_since(seen))] == [
        "streaming/numbers-extractor"
    ]


def test_a_verified_namespace_shows_on_its_components(registry, publisher):
    publisher.list()
    registry.make_account("root", admin=True)
    body = {"verified": True}
    registry.request("PUT", "/namespaces/streaming/verified", json=body, token=registry.token_of("root"))
    assert registry.request("GET", PATH).json()["verified"] is True
