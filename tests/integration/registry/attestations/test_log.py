"""The public log: what was changed in the database behind the registry's back is found.

Each case is a tampering of its own and is asserted to be found; without tampering the same check says that all is well.
"""

import pytest

from dteg.core.errors import UnavailableError
from registry.attestations.models import LogEntry
from registry.hash_chain import FIRST_HASH
from registry.releases.models import State
from tests.integration.registry.publishing import KnownProver, Publisher, run_gates


@pytest.fixture
def publisher(registry, tmp_path):
    publisher = Publisher(registry, tmp_path / "wheels")
    for version in ("1.0.0", "1.1.0"):
        publisher.list(version)
    return publisher


def verify(registry):
    return registry.run(registry.services.attestations.verify_log())


async def change(registry, seq, **values):
    await registry.services.database["log"].update_one({"_id": seq}, {"$set": values})


async def rewrite(registry, seq, **values):
    """Change an entry and compute all hashes after it anew, as somebody with the database but without the key can."""
    log, before = registry.services.database["log"], FIRST_HASH
    async for document in log.find({}, sort=[("_id", 1)]):
        new = values if document["_id"] == seq else {}
        entry = LogEntry.model_validate({**document, **new, "prev": before})
        before = entry.computed_hash()
        await log.replace_one({"_id": entry.seq}, {**entry.model_dump(by_alias=True), "hash": before})
    return before


def test_an_untouched_log_holds(registry, publisher):
    assert verify(registry).ok
    assert verify(registry).entries == 6
    head = registry.request("GET", "/log/head").json()
    entries = registry.request("GET", "/log", params={"after": 4}).json()["items"]
    assert (head["seq"], head["hash"]) == (entries[-1]["seq"], entries[-1]["hash"])
    assert entries[1]["prev"] == entries[0]["hash"]


def test_a_changed_entry_is_found(registry, publisher):
    registry.run(change(registry, 3, sha256="0" * 64))
    assert verify(registry).problem == "entry 3 was changed"


def test_a_missing_entry_is_found(registry, publisher):
    registry.run(registry.services.database["log"].delete_one({"_id": 4}))
    assert verify(registry).problem == "entry 4 is missing"


def test_a_log_that_was_cut_off_is_found(registry, publisher):
    registry.run(registry.services.database["log"].delete_one({"_id": 6}))
    assert verify(registry).problem == "the log ends at entry 5, but entry 6 was signed"


def test_a_chain_that_was_computed_anew_does_not_fit_the_signature(registry, publisher):
    registry.run(rewrite(registry, 2, sha256="0" * 64))
    assert verify(registry).problem == "entry 6 is not the one that was signed"


def test_a_forged_head_is_found(registry, publisher):
    new = registry.run(rewrite(registry, 2, sha256="0" * 64))
    registry.run(registry.services.database["log_head"].update_one({}, {"$set": {"hash": new}}))
    assert "the signed end of the log" in verify(registry).problem


def test_nothing_is_appended_to_a_log_that_was_tampered_with(registry, publisher):
    registry.run(rewrite(registry, 2, sha256="0" * 64))
    release = registry.run(registry.services.releases.get("streaming/numbers-extractor", "1.0.0"))
    with pytest.raises(UnavailableError, match="damaged"):
        registry.run(registry.services.attestations.log(release.model_copy(update={"moves": 99})))
    head = registry.run(registry.services.attestations.head())
    assert head[0] == 6


def test_a_change_that_was_cut_off_before_the_log_is_logged_once(registry, publisher):
    """Seen red: with `settled` never read, the log lacked the yank after the cut."""
    name = "streaming/numbers-extractor@1.0.0"
    releases = registry.services.releases
    moved = registry.run(
        releases._store.change(
            name, State.LISTED, {"state": "yanked", "updated_at": registry.clock()}, moves=True
        )
    )
    assert (moved.settled, verify(registry).entries) == (False, 6)
    registry.clock.advance(minutes=5)
    assert registry.run(releases.reconcile()) == 1
    assert registry.run(releases.reconcile()) == 0
    last = registry.request("GET", "/log").json()["items"][-1]
    assert (last["seq"], last["state"]) == (7, "yanked")
    assert (
        registry.request("GET", "/components/streaming/numbers-extractor").json()["latest"]["stable"]
        == "1.1.0"
    )
    assert run_gates(registry, KnownProver()) == 0


def test_the_key_is_private_and_stays(registry, publisher):
    path = registry.settings.data_dir / "registry.key"
    assert path.stat().st_mode & 0o777 == 0o600
    (key,) = registry.request("GET", "/keys").json()["items"]
    assert (key["purpose"], key["to_at"]) == ("registry", None)
