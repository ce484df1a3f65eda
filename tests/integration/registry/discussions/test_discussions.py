import pytest

from tests.integration.registry.community import PATH, Community, all_pages, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration
NASTY = (
    "# <script>alert(1)</script>\n\n[x](javascript:alert(2))\n\n```\n{{ 7*7 }} $where\n```\t&amp; \u202e ünï"
)


@pytest.fixture
def community(registry, tmp_path):
    return Community(registry, Publisher(registry, tmp_path / "wheels"))


@pytest.fixture
def thread(community):
    answer = community.ask(
        "bob", "POST", f"{PATH}/threads", json={"title": "How to use it", "text": "Please."}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_somebody_asks_and_somebody_answers(community, thread):
    assert (thread["author"], thread["replies"], thread["locked"], thread["state"]) == (
        "bob",
        0,
        False,
        "visible",
    )
    path = f"/threads/{thread['id']}"
    replied = community.ask("eve", "POST", f"{path}/replies", json={"text": "Like this."})
    assert replied.status_code == 201
    assert community.ask("", "GET", path).json()["replies"] == 1
    (reply,) = community.ask("", "GET", f"{path}/replies").json()["items"]
    assert (reply["author"], reply["text"], reply["thread"]) == ("eve", "Like this.", thread["id"])
    assert community.ask("", "POST", f"{path}/replies", json={"text": "x"}).status_code == 401
    assert community.ask("eve", "POST", f"/threads/{'0' * 26}/replies", json={"text": "x"}).status_code == 404
    assert (
        community.ask(
            "eve", "POST", "/components/streaming/none-loader/threads", json={"title": "Hey", "text": "x"}
        ).status_code
        == 404
    )


def test_texts_are_kept_as_they_were_written(community, thread):
    path = f"/threads/{thread['id']}"
    community.ask("bob", "PATCH", path, json={"text": NASTY})
    community.ask("eve", "POST", f"{path}/replies", json={"text": NASTY})
    assert community.ask("", "GET", path).json()["text"] == NASTY
    answer = community.ask("", "GET", f"{path}/replies")
    assert answer.json()["items"][0]["text"] == NASTY
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "body",
    [
        {"title": "ab", "text": "x"}, {"title": "two\nlines", "text": "x"}, {"title": "x" * 201, "text": "x"},
        {"title": "good", "text": ""}, {"title": "good", "text": "x" * 20_001}, {"title": "good", "text": "\x1b[2J"},
        {"title": {"$ne": ""}, "text": "x"}, {"title": "good", "text": "x", "locked": True},
    ],
)  # fmt: skip
def test_what_is_no_thread_is_refused(community, body):
    assert community.ask("bob", "POST", f"{PATH}/threads", json=body).status_code == 422


def test_only_the_author_changes_and_deletes(community, thread):
    path = f"/threads/{thread['id']}"
    community.token("boss", admin=True)
    reply = community.ask("eve", "POST", f"{path}/replies", json={"text": "first"}).json()["id"]
    for login in ("eve", "ann", "boss"):
        assert community.ask(login, "PATCH", path, json={"text": "forged"}).status_code == 403
        assert community.ask(login, "DELETE", path).status_code == 403
    for login in ("bob", "ann", "boss"):
        assert community.ask(login, "PATCH", f"/replies/{reply}", json={"text": "forged"}).status_code == 403
        assert community.ask(login, "DELETE", f"/replies/{reply}").status_code == 403
    changed = community.ask("bob", "PATCH", path, json={"title": "Another title"}).json()
    assert (changed["title"], changed["text"]) == ("Another title", "Please.")
    assert changed["edited_at"] is not None
    assert community.ask("bob", "PATCH", path, json={}).status_code == 422
    assert (
        community.ask("eve", "PATCH", f"/replies/{reply}", json={"text": "second"}).json()["text"] == "second"
    )
    assert community.ask("eve", "DELETE", f"/replies/{reply}").status_code == 204
    (left,) = community.ask("", "GET", f"{path}/replies").json()["items"]
    assert (left["text"], left["author"], left["state"]) == ("", "", "deleted")
    assert community.ask("eve", "PATCH", f"/replies/{reply}", json={"text": "back"}).status_code == 404


def test_a_deleted_thread_is_gone(community, thread, registry):
    path = f"/threads/{thread['id']}"
    assert community.ask("bob", "DELETE", path).status_code == 204
    for method, where, body in [
        ("GET", path, None), ("GET", f"{path}/replies", None), ("POST", f"{path}/replies", {"text": "x"}),
        ("DELETE", path, None), ("PATCH", path, {"text": "x"}),
    ]:  # fmt: skip
        assert community.ask("bob", method, where, json=body).status_code == 404, (method, where)
    assert community.ask("", "GET", f"{PATH}/threads").json()["items"] == []
    stored = registry.run(registry.services.database["threads"].find_one({}))
    assert (stored["text"], stored["title"]) == ("", "(deleted)")


def test_a_locked_thread_takes_nothing_more(community, thread):
    path = f"/threads/{thread['id']}"
    reply = community.ask("eve", "POST", f"{path}/replies", json={"text": "first"}).json()["id"]
    assert community.ask("bob", "POST", f"{path}/lock").status_code == 403
    assert community.ask("ann", "POST", f"{path}/lock").json()["locked"] is True
    refused = community.ask("eve", "POST", f"{path}/replies", json={"text": "x"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert community.ask("bob", "PATCH", path, json={"text": "x"}).status_code == 409
    assert community.ask("eve", "PATCH", f"/replies/{reply}", json={"text": "x"}).status_code == 409
    assert community.ask("ann", "DELETE", f"{path}/lock").json()["locked"] is False
    assert community.ask("eve", "POST", f"{path}/replies", json={"text": "x"}).status_code == 201
    community.token("boss", admin=True)
    body = {"action": "lock", "reason": "heated"}
    assert community.ask("boss", "POST", f"/moderation/thread/{thread['id']}", json=body).status_code == 200
    assert community.ask("", "GET", path).json()["locked"] is True


def test_replies_at_once_are_all_counted_and_none_comes_after_the_lock(community, thread):
    path = f"/threads/{thread['id']}"
    people = [f"user{number}" for number in range(6)]
    for login in people:
        community.token(login)

    def write(number):
        if number == 12:
            return community.ask("ann", "POST", f"{path}/lock").status_code
        login = people[number % len(people)]
        return community.ask(login, "POST", f"{path}/replies", json={"text": f"{number}"}).status_code

    statuses = at_once(write, range(24), threads=6)
    found = all_pages(lambda *given, **more: community.ask("", *given, **more), f"{path}/replies", 5)
    assert len(found) == statuses.count(201) == community.ask("", "GET", path).json()["replies"]
    assert statuses.count(201) + statuses.count(409) == 23
    assert [each["id"] for each in found] == sorted(each["id"] for each in found)


def test_hidden_posts_are_seen_by_author_and_moderators_only(community, thread):
    community.token("boss", admin=True)
    path = f"/threads/{thread['id']}"
    reply = community.ask("eve", "POST", f"{path}/replies", json={"text": "insult"}).json()["id"]
    hide = {"action": "hide", "reason": "insulting"}
    for login in ("bob", "ann"):
        assert community.ask(login, "POST", f"/moderation/reply/{reply}", json=hide).status_code == 403
    assert community.ask("boss", "POST", f"/moderation/reply/{reply}", json=hide).status_code == 200
    seen = {
        login: community.ask(login, "GET", f"{path}/replies").json()["items"][0]
        for login in ("", "eve", "boss")
    }
    assert {login: each["text"] for login, each in seen.items()} == {
        "": "",
        "eve": "insult",
        "boss": "insult",
    }
    assert community.ask("eve", "PATCH", f"/replies/{reply}", json={"text": "again"}).status_code == 409
    community.ask("boss", "POST", f"/moderation/thread/{thread['id']}", json=hide)
    assert [community.ask(login, "GET", path).status_code for login in ("", "eve", "bob", "boss")] == [
        404,
        404,
        200,
        200,
    ]
    assert community.ask("", "GET", f"{PATH}/threads").json()["items"] == []
    assert len(community.ask("boss", "GET", f"{PATH}/threads").json()["items"]) == 1
    assert community.ask("eve", "POST", f"{path}/replies", json={"text": "x"}).status_code == 404
    community.ask(
        "boss", "POST", f"/moderation/thread/{thread['id']}", json={"action": "show", "reason": "fine"}
    )
    assert community.ask("", "GET", path).status_code == 200
    for kind, action in (("reply", "lock"), ("review", "unlock")):
        body = {"action": action, "reason": "nonsense"}
        assert community.ask("boss", "POST", f"/moderation/{kind}/{reply}", json=body).status_code == 422
    assert community.ask("boss", "POST", f"/moderation/component/{reply}", json=hide).status_code == 422


def test_pages_show_each_thread_once_also_while_new_ones_come(community):
    made = [
        community.ask(
            "bob", "POST", f"{PATH}/threads", json={"title": f"Thread {number}", "text": "x"}
        ).json()["id"]
        for number in range(7)
    ]
    first = community.ask("", "GET", f"{PATH}/threads", params={"limit": 3}).json()
    community.ask("bob", "POST", f"{PATH}/threads", json={"title": "Late", "text": "x"})
    second = community.ask("", "GET", f"{PATH}/threads", params={"limit": 50, "after": first["next"]}).json()
    assert [each["id"] for each in first["items"] + second["items"]] == list(reversed(made))
    assert second["next"] is None
