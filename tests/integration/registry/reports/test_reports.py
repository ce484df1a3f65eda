import pytest

from registry.reports.models import Resolve
from registry.reports.service import PER_DAY
from tests.integration.registry.community import COMPONENT, PATH, Community, all_pages, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration


@pytest.fixture
def community(registry, tmp_path):
    made = Community(registry, Publisher(registry, tmp_path / "wheels"))
    made.token("boss", admin=True)
    return made


def report(community, login, target, reason="malware", text="look"):
    return community.ask(login, "POST", "/reports", json={"target": target, "reason": reason, "text": text})


def resolve(community, number, action, login="boss"):
    return community.ask(
        login, "POST", f"/reports/{number}/resolve", json={"action": action, "note": "looked at it"}
    )


def open_reports(community):
    return community.ask("boss", "GET", "/reports").json()["items"]


def test_every_kind_of_target_can_be_reported(community):
    community.install("bob")
    review = community.review("bob", 1, "insult").json()["id"]
    thread = community.ask("bob", "POST", f"{PATH}/threads", json={"title": "Spam", "text": "spam"}).json()[
        "id"
    ]
    reply = community.ask("bob", "POST", f"/threads/{thread}/replies", json={"text": "more"}).json()["id"]
    targets = [
        f"component:{COMPONENT}", f"release:{COMPONENT}@1.0.0", f"review:{review}", f"thread:{thread}", f"reply:{reply}",
    ]  # fmt: skip
    for target in targets:
        answer = report(community, "eve", target)
        assert answer.status_code == 201, answer.text
    assert {each["target"] for each in open_reports(community)} == set(targets)
    assert {each["component"] for each in open_reports(community)} == {COMPONENT}
    for target in (
        "component:streaming/none-loader",
        f"release:{COMPONENT}@9.9.9",
        f"review:{'0' * 26}",
        f"thread:{reply}",
    ):
        assert report(community, "eve", target).status_code == 404, target
    for target in ("account:bob", COMPONENT, "review:{'$ne': 1}", "", f"component:{COMPONENT}\n"):
        assert report(community, "eve", target).status_code == 422, target
    assert report(community, "", f"component:{COMPONENT}").status_code == 401


def test_the_queue_is_sorted_by_urgency_and_knows_its_age(community, registry):
    report(community, "bob", f"component:{COMPONENT}", "licence")
    registry.clock.advance(hours=1)
    report(community, "bob", f"release:{COMPONENT}@1.0.0", "malware")
    registry.clock.advance(hours=2)
    urgent, later = open_reports(community)
    assert (urgent["reason"], later["reason"]) == ("malware", "licence")
    assert urgent["age_s"] == pytest.approx(2 * 3600, abs=60)
    assert later["age_s"] == pytest.approx(3 * 3600, abs=60)
    assert (urgent["overdue"], later["overdue"]) == (False, False)
    registry.clock.advance(hours=23)
    assert [each["overdue"] for each in open_reports(community)] == [True, False]
    queue = community.ask("boss", "GET", "/reports/queue").json()
    assert (queue["open"], queue["overdue"]) == (2, 1)
    assert queue["oldest_s"] == pytest.approx(26 * 3600, abs=60)
    for login in ("bob", "ann"):
        assert community.ask(login, "GET", "/reports").status_code == 403
        assert community.ask(login, "GET", "/reports/queue").status_code == 403


def test_a_release_is_quarantined_by_a_report(community):
    number = report(community, "bob", f"release:{COMPONENT}@1.0.0").json()["id"]
    assert resolve(community, number, "hide").status_code == 422
    assert resolve(community, number, "quarantine", login="ann").status_code == 403
    done = resolve(community, number, "quarantine")
    assert done.status_code == 200, done.text
    assert (done.json()["resolution"], done.json()["resolved_by"], done.json()["is_open"]) == (
        "quarantine",
        "boss",
        False,
    )
    release = community.ask("", "GET", f"{PATH}/releases/1.0.0").json()
    assert (release["state"], release["reason"]) == ("quarantined", "looked at it")
    assert resolve(community, number, "dismiss").status_code == 409
    assert open_reports(community) == []
    assert [each["id"] for each in community.ask("boss", "GET", "/reports?open=false").json()["items"]] == [
        number
    ]
    actions = [each["action"] for each in community.ask("boss", "GET", "/audit").json()["items"]]
    assert {"report.resolve", "release.quarantine"} <= set(actions)


def test_all_releases_of_a_component_are_quarantined_and_pending_ones_left(community):
    community.publisher.list("1.1.0")
    community.ask("ann", "POST", f"{PATH}/releases/1.0.0/yank", json={"reason": "old"})
    community.publisher.publish("1.2.0")
    number = report(community, "bob", f"component:{COMPONENT}").json()["id"]
    assert resolve(community, number, "quarantine").status_code == 200
    states = {
        each["version"]: each["state"]
        for each in community.ask("", "GET", f"{PATH}/releases").json()["items"]
    }
    assert states == {"1.0.0": "quarantined", "1.1.0": "quarantined", "1.2.0": "pending"}


def test_texts_are_hidden_by_a_report(community):
    community.install("bob")
    review = community.review("bob", 1, "insult").json()["id"]
    thread = community.ask("bob", "POST", f"{PATH}/threads", json={"title": "Spam", "text": "spam"}).json()[
        "id"
    ]
    for target in (f"review:{review}", f"thread:{thread}"):
        number = report(community, "eve", target, "abuse").json()["id"]
        assert resolve(community, number, "quarantine").status_code == 422
        assert resolve(community, number, "hide").status_code == 200
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"] == []
    assert community.ask("", "GET", f"{PATH}/threads").json()["items"] == []


def test_others_about_the_same_end_with_it_unless_it_is_dismissed(community):
    target = f"release:{COMPONENT}@1.0.0"
    first, second, third = (report(community, login, target).json()["id"] for login in ("bob", "eve", "joe"))
    assert resolve(community, first, "dismiss").status_code == 200
    assert {each["id"] for each in open_reports(community)} == {second, third}
    assert community.ask("", "GET", f"{PATH}/releases/1.0.0").json()["state"] == "listed"
    assert resolve(community, second, "quarantine").status_code == 200
    assert open_reports(community) == []


def test_one_open_report_per_account_and_target(community):
    target = f"component:{COMPONENT}"
    community.token("bob")
    answers = at_once(lambda _: report(community, "bob", target).status_code, range(6), threads=6)
    assert sorted(answers) == [201] + [409] * 5
    (only,) = open_reports(community)
    resolve(community, only["id"], "dismiss")
    assert report(community, "bob", target).status_code == 201


def test_two_moderators_at_once_resolve_once(community):
    community.token("chief", admin=True)
    number = report(community, "bob", f"release:{COMPONENT}@1.0.0").json()["id"]
    statuses = at_once(
        lambda login: resolve(community, number, "quarantine", login).status_code,
        ["boss", "chief"],
        threads=2,
    )
    assert sorted(statuses) in ([200, 409], [200, 409])
    assert community.ask("", "GET", f"{PATH}/releases/1.0.0").json()["state"] == "quarantined"


def test_only_reporter_and_moderators_see_a_report(community):
    number = report(community, "bob", f"component:{COMPONENT}").json()["id"]
    assert "text" not in community.ask("bob", "GET", f"/reports/{number}").json()
    statuses = [
        community.ask(login, "GET", f"/reports/{number}").status_code
        for login in ("bob", "boss", "ann", "eve")
    ]
    assert statuses == [200, 200, 404, 404]


def test_the_queue_has_pages(community, registry):
    for number in range(5):
        report(community, f"user{number}", f"component:{COMPONENT}", "spam" if number % 2 else "malware")
        registry.clock.advance(minutes=1)
    found = all_pages(lambda *given, **more: community.ask("boss", *given, **more), "/reports", 2)
    assert [each["reporter"] for each in found] == ["user0", "user2", "user4", "user1", "user3"]


def test_an_account_cannot_flood_the_queue(community, registry):
    count = registry.services.reports._store.since

    async def many(user_id, moment):
        return await count(user_id, moment) + PER_DAY - 1

    registry.services.reports._store.since = many
    assert report(community, "bob", f"component:{COMPONENT}").status_code == 201
    refused = report(community, "bob", f"release:{COMPONENT}@1.0.0")
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0


def test_a_report_is_resolved_by_the_first_of_two_who_decide_differently(community, registry):
    number = report(community, "bob", f"release:{COMPONENT}@1.0.0").json()["id"]
    reports = registry.services.reports
    act = reports._act

    async def acted_after_another(who, it, decision):
        reports._act = act
        await reports.resolve(who, number, Resolve(action="dismiss", note="first"))
        await act(who, it, decision)

    reports._act = acted_after_another
    assert resolve(community, number, "quarantine").status_code == 409
    (closed,) = community.ask("boss", "GET", "/reports?open=false").json()["items"]
    assert (closed["resolution"], closed["note"]) == ("dismiss", "first")
