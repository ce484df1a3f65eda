from datetime import timedelta

import pytest

from dteg.signing import SigningKey
from registry.access import Role
from registry.settings import RegistrySettings
from registry.testing import running_registry
from tests.integration.registry.community import COMPONENT, PATH, Community, all_pages, at_once
from tests.integration.registry.publishing import Publisher

pytestmark = pytest.mark.integration
NASTY = "<script>alert(1)</script> [x](javascript:alert(2)) <img src=x onerror=alert(3)> ' \" & \u202e ünï"


@pytest.fixture
def community(registry, tmp_path):
    return Community(registry, Publisher(registry, tmp_path / "wheels"))


def test_only_who_installed_it_may_review(community):
    refused = community.review("bob", 5)
    assert refused.status_code == 403
    assert "dteg install" in refused.json()["detail"]
    assert community.ask("", "PUT", f"{PATH}/review", json={"stars": 5}).status_code == 401

    community.install("bob", ok_runs=3)
    written = community.review("bob", 5, "good")
    assert written.status_code == 201, written.text
    review = written.json()
    assert (review["author"], review["stars"], review["version"]) == ("bob", 5, "1.0.0")
    assert (review["ok_runs"], review["installed_days"], review["helpful"]) == (3, 0, 0)


@pytest.fixture
def patient(mongodb_url, tmp_path):
    """With the setting that registries have unless they are told otherwise; other tests do not wait."""
    days = RegistrySettings.model_fields["review_after_days"].default
    with running_registry(mongodb_url, tmp_path / "registry", review_after_days=days) as registry:
        yield Community(registry, Publisher(registry, tmp_path / "wheels"))


def test_a_review_waits_until_the_installation_is_a_week_old(patient):
    key = SigningKey.generate()
    assert patient.install("bob", key, ok_runs=10**6).json()["may_review"] is False
    opens = f"{patient.registry.clock() + timedelta(days=7):%Y-%m-%d}"
    refused = patient.review("bob", 5)
    assert refused.status_code == 403
    assert f"from {opens}" in refused.json()["detail"]
    patient.registry.clock.advance(days=6, hours=23)
    assert patient.review("bob", 5).status_code == 403
    assert patient.component()["rating"]["count"] == 0
    patient.registry.clock.advance(hours=2)
    assert patient.install("eve").json()["may_review"] is False  # who came later waits for themselves
    assert patient.review("eve", 1).status_code == 403
    assert patient.install("bob", key).json()["may_review"] is True
    patient.install("bob", SigningKey.generate())  # a further machine does not begin anew
    written = patient.review("bob", 5)
    assert (written.status_code, written.json()["installed_days"]) == (201, 7)
    assert patient.component()["rating"]["count"] == 1


def test_the_receipt_of_somebody_else_does_not_help(community):
    key = SigningKey.generate()
    assert community.install("bob", key).json()["may_review"] is True
    assert community.install("eve", key).json()["may_review"] is False
    assert community.review("eve", 1).status_code == 403
    community.install("", SigningKey.generate())  # nobody's
    assert community.review("eve", 1).status_code == 403


def test_members_of_the_namespace_do_not_review_it(community, registry):
    community.token("rex")
    registry.run(
        registry.services.namespaces.set_member(registry.who("ann"), "streaming", "rex", Role.READER)
    )
    for login in ("ann", "rex"):
        community.install(login)
        refused = community.review(login, 5)
        assert refused.status_code == 403
        assert "members do not review their own" in refused.json()["detail"]
    assert community.component()["rating"]["count"] == 0


def test_a_review_tells_the_version_that_was_installed(community):
    key = SigningKey.generate()
    community.install("bob", key)
    community.review("bob", 2, "slow")
    newer = community.publisher.list("1.1.0")
    community.registry.clock.advance(days=8)
    community.install("bob", key, newer)
    again = community.review("bob", 4, "faster now")
    assert again.status_code == 200
    assert (again.json()["version"], again.json()["installed_days"]) == ("1.1.0", 8)
    assert again.json()["edited_at"] is not None
    listed = community.ask("", "GET", f"{PATH}/reviews").json()["items"]
    assert [(each["stars"], each["text"]) for each in listed] == [(4, "faster now")]


def test_texts_are_kept_as_they_were_written(community):
    community.install("bob")
    assert community.review("bob", 3, NASTY).json()["text"] == NASTY
    answer = community.ask("", "GET", f"{PATH}/reviews")
    assert answer.json()["items"][0]["text"] == NASTY
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "body",
    [
        {"stars": 0}, {"stars": 6}, {"stars": 4.5}, {"stars": "5"}, {"stars": True}, {"stars": {"$gt": 0}}, {},
        {"stars": 5, "text": "x" * 5001}, {"stars": 5, "text": "\x00"}, {"stars": 5, "helpful": 99},
    ],
)  # fmt: skip
def test_what_is_no_review_is_refused(community, body):
    community.install("bob")
    assert community.ask("bob", "PUT", f"{PATH}/review", json=body).status_code == 422


def test_helpful_counts_once_per_account_and_for_one_text(community):
    community.install("bob")
    review = community.review("bob", 5, "first").json()["id"]
    for login in ("eve", "eve", "joe"):
        assert community.ask(login, "POST", f"/reviews/{review}/helpful").status_code == 200
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"][0]["helpful"] == 2
    assert community.ask("bob", "POST", f"/reviews/{review}/helpful").status_code == 403
    assert community.ask("joe", "DELETE", f"/reviews/{review}/helpful").json() == {"helpful": 1}
    assert community.ask("joe", "DELETE", f"/reviews/{review}/helpful").json() == {"helpful": 1}
    # Votes are for what was read, not for what the author makes of it later.
    assert community.review("bob", 5, "buy my course").json()["helpful"] == 0
    assert community.ask("eve", "POST", f"/reviews/{review}/helpful").json() == {"helpful": 1}


def test_votes_at_once_are_all_counted(community):
    community.install("bob")
    review = community.review("bob", 5, "yes").json()["id"]
    voters = [f"voter{number}" for number in range(8)]
    for login in voters:
        community.token(login)
    at_once(lambda login: community.ask(login, "POST", f"/reviews/{review}/helpful"), voters * 3)
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"][0]["helpful"] == 8


def test_the_publisher_answers(community):
    community.install("bob")
    review = community.review("bob", 1, "broken").json()["id"]
    assert community.ask("bob", "PUT", f"/reviews/{review}/reply", json={"text": "me"}).status_code == 403
    answered = community.ask("ann", "PUT", f"/reviews/{review}/reply", json={"text": NASTY})
    assert answered.status_code == 200
    assert answered.json()["reply"] | {"at": ""} == {"text": NASTY, "by": "ann", "at": ""}
    assert community.ask("ann", "DELETE", f"/reviews/{review}/reply").status_code == 204
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"][0]["reply"] is None


def test_a_withdrawn_review_leaves_neither_stars_nor_text(community, registry):
    community.install("bob")
    review = community.review("bob", 5, "my secret").json()["id"]
    assert community.ask("bob", "DELETE", f"{PATH}/review").status_code == 204
    assert community.ask("bob", "DELETE", f"{PATH}/review").status_code == 404
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"] == []
    assert community.ask("eve", "POST", f"/reviews/{review}/helpful").status_code == 404
    assert community.component()["rating"]["count"] == 0
    stored = registry.run(registry.services.database["reviews"].find_one({"key": review}))
    assert (stored["text"], stored["stars"]) == ("", 0)
    assert community.review("bob", 4).status_code == 200
    assert community.component()["rating"]["count"] == 1


def test_a_hidden_review_is_seen_by_its_author_only_and_does_not_count(community):
    community.token("boss", admin=True)
    community.install("bob")
    review = community.review("bob", 1, "insult").json()["id"]
    path = f"/moderation/review/{review}"
    assert community.ask("ann", "POST", path, json={"action": "hide", "reason": "no"}).status_code == 403
    hidden = community.ask("boss", "POST", path, json={"action": "hide", "reason": "insulting"})
    assert hidden.status_code == 200, hidden.text
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"] == []
    assert community.component()["rating"]["count"] == 0
    assert community.ask("bob", "GET", f"{PATH}/review").json()["hidden"] is True
    assert community.ask("boss", "GET", f"{PATH}/reviews").json()["items"][0]["hidden"] is True
    # A new text does not bring it back, nor does withdrawing and writing again.
    community.review("bob", 5, "another insult")
    community.ask("bob", "DELETE", f"{PATH}/review")
    community.review("bob", 5, "and another")
    assert community.ask("", "GET", f"{PATH}/reviews").json()["items"] == []
    community.ask("boss", "POST", path, json={"action": "show", "reason": "on second thoughts"})
    assert community.component()["rating"]["count"] == 1
    actions = community.ask("boss", "GET", "/audit", params={"target": review}).json()["items"]
    assert {"review.hide", "review.show"} <= {each["action"] for each in actions}


def test_pages_show_each_review_once(community):
    for number in range(7):
        community.install(f"user{number}")
        community.review(f"user{number}", 1 + number % 5)
    reviews = all_pages(lambda *given, **more: community.ask("", *given, **more), f"{PATH}/reviews", 3)
    assert [each["author"] for each in reviews] == [f"user{number}" for number in reversed(range(7))]
    for voter in ("user1", "user2"):
        community.ask(voter, "POST", f"/reviews/{reviews[3]['id']}/helpful")
    best = community.ask("", "GET", f"{PATH}/reviews", params={"sort": "helpful", "limit": 2}).json()
    assert best["items"][0]["id"] == reviews[3]["id"]
    rest = community.ask(
        "", "GET", f"{PATH}/reviews", params={"sort": "helpful", "limit": 10, "after": best["next"]}
    ).json()["items"]
    assert {each["id"] for each in best["items"] + rest} == {each["id"] for each in reviews}
    assert len(rest) == 5
    assert community.ask("", "GET", f"{PATH}/reviews", params={"after": "x"}).status_code == 422


def test_the_name_goes_with_the_account(community, registry):
    community.install("bob")
    community.review("bob", 4, "stays")
    from registry.testing import PASSWORD

    with registry.client(registry.token_of("bob")) as client:
        assert client.request("DELETE", "/account", json={"current_password": PASSWORD}).status_code == 204
    (review,) = community.ask("", "GET", f"{PATH}/reviews").json()["items"]
    assert review["text"] == "stays"
    assert "bob" not in review["author"]


def test_reviews_of_what_is_not_there(community):
    for method, path in [("GET", "reviews"), ("PUT", "review"), ("DELETE", "review"), ("GET", "review")]:
        body = {"json": {"stars": 5}} if method == "PUT" else {}
        answer = community.ask("bob", method, f"/components/streaming/none-loader/{path}", **body)
        assert answer.status_code == 404, (method, path)
    assert COMPONENT not in community.ask("bob", "POST", f"/reviews/{'0' * 26}/helpful").text
