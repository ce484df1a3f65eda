import asyncio

import pytest

from registry.access import NOBODY
from registry.services import Services

pytestmark = pytest.mark.integration


def fill(registry, count):
    async def work():
        for number in range(count):
            await registry.services.audit.record(NOBODY, "test.do", f"target-{number}", number=number)

    registry.run(work())


def verify(registry):
    return registry.run(registry.services.audit.verify())


def collection(registry, name="audit"):
    return registry.services.database[name]


def test_the_chain_holds_and_starts_empty(registry):
    assert verify(registry).ok
    fill(registry, 20)
    found = verify(registry)
    assert (found.ok, found.entries, found.problem) == (True, 20, "")


def test_concurrent_appends_of_several_processes_leave_no_gap(registry):
    async def work():
        # Each has its own connections and locks, as processes have.
        others = [Services(registry.settings) for _ in range(4)]
        await asyncio.gather(
            *(each.audit.record(NOBODY, "test.do", f"{n}") for each in others for n in range(25))
        )
        for each in others:
            await each.database.close()

    registry.run(work())
    found = verify(registry)
    assert (found.ok, found.entries) == (True, 100)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda audit: audit.update_one({"_id": 3}, {"$set": {"target": "else"}}), "entry 3 was changed"),
        (lambda audit: audit.update_one({"_id": 3}, {"$set": {"details.number": 9}}), "entry 3 was changed"),
        (lambda audit: audit.update_one({"_id": 3}, {"$set": {"hash": "0" * 64}}), "entry 3 was changed"),
        (lambda audit: audit.delete_one({"_id": 3}), "entry 3 is missing"),
        (lambda audit: audit.delete_one({"_id": 1}), "entry 1 is missing"),
        (lambda audit: audit.delete_one({"_id": 5}), "ends at entry 4, but entry 5 was appended"),
        (lambda audit: audit.delete_many({}), "ends at entry 0"),
    ],
)
def test_tampering_is_found(registry, change, complaint):
    fill(registry, 5)

    async def tamper():
        await change(collection(registry))

    registry.run(tamper())
    found = verify(registry)
    assert not found.ok
    assert complaint in found.problem


def test_a_rewritten_entry_with_a_right_hash_breaks_the_next(registry):
    fill(registry, 5)

    async def tamper():
        from registry.audit.models import Entry

        entry = Entry.model_validate(await collection(registry).find_one({"_id": 3}))
        forged = entry.model_copy(update={"target": "else"})
        forged = forged.model_copy(update={"hash": forged.computed_hash()})
        await collection(registry).replace_one({"_id": 3}, forged.to_mongo())

    registry.run(tamper())
    assert "entry 4 does not follow" in verify(registry).problem


def test_no_secret_gets_in(registry):
    async def work():
        return await registry.services.audit.record(
            NOBODY, "test.do", "x", password="hunter2hunter2", api_token="hunter2hunter2", note="n" * 5000
        )

    entry = registry.run(work())
    assert "hunter2" not in str(entry)
    assert len(entry.details["note"]) == 2000


def test_admins_read_it_newest_first_with_present_names(registry):
    registry.make_account("ada")
    registry.make_account("boss", admin=True)
    registry.make_namespace("acme", "ada")
    boss = registry.token_of("boss")
    assert registry.request("GET", "/audit", token=registry.token_of("ada")).status_code == 403
    page = registry.request("GET", "/audit?target=acme", token=boss).json()
    assert [(each["action"], each["login"]) for each in page["items"]] == [("namespace.claim", "ada")]
    first = registry.request("GET", "/audit?limit=2", token=boss).json()
    rest = registry.request("GET", f"/audit?limit=200&after={first['next']}", token=boss).json()
    numbers = [each["seq"] for each in first["items"] + rest["items"]]
    assert numbers == list(range(max(numbers), 0, -1))
    assert rest["next"] is None
    assert registry.request("GET", "/audit/verify", token=boss).json()["ok"] is True
