"""Tokens: the same here and over HTTP."""

from datetime import timedelta

import pytest

from dteg.core.clock import utc_now
from dteg.core.errors import ConflictError, NotFoundError
from dteg.studio_client import StudioClient
from dteg.tokens.models import NewToken, Scope
from dteg.tokens.remote import RemoteTokens
from dteg.tokens.service import Tokens, hash_of

pytestmark = pytest.mark.integration


@pytest.fixture(params=["local", "remote"])
def tokens(request):
    if request.param == "local":
        return Tokens.of(request.getfixturevalue("studio_project"))
    return RemoteTokens(request.getfixturevalue("studio").client)


def test_what_is_made_is_listed_without_its_secret(tokens):
    made = tokens.create(NewToken(name="ci", scopes=[Scope.WRITE, Scope.READ], expires_days=30))
    assert timedelta(days=29) < made.expires_at - utc_now() <= timedelta(days=30)
    (listed,) = tokens.list()
    assert listed.model_dump() == {
        name: value for name, value in made.model_dump().items() if name != "token"
    }
    assert made.token not in listed.model_dump_json()


def test_a_name_is_taken_once(tokens):
    new = NewToken(name="ci", scopes=[Scope.READ])
    tokens.create(new)
    with pytest.raises(ConflictError, match="revoke it first"):
        tokens.create(new)


def test_one_is_revoked_by_name_or_id(tokens):
    first = tokens.create(NewToken(name="one", scopes=[Scope.READ]))
    tokens.create(NewToken(name="two words and ü", scopes=[Scope.READ]))
    assert tokens.revoke(first.id).name == "one"
    assert tokens.revoke("two words and ü").name == "two words and ü"
    assert tokens.list() == []
    with pytest.raises(NotFoundError, match="no token 'one'"):
        tokens.revoke("one")


def test_the_newest_are_first(tokens):
    names = ["a", "c", "b"]
    for name in names:
        tokens.create(NewToken(name=name, scopes=[Scope.READ]))
    assert [each.name for each in tokens.list()] == names[::-1]


def test_a_list_comes_in_parts(studio):
    for _ in range(5):
        studio.token_of("read")
    parts = [studio.client.get("/tokens", limit=2)]
    while following := parts[-1]["next"]:
        parts.append(studio.client.get("/tokens", limit=2, after=following))
    assert [len(part["items"]) for part in parts] == [2, 2, 1]
    assert len({each["id"] for part in parts for each in part["items"]}) == 5
    assert len(list(studio.client.items("/tokens", limit=1))) == 5


def test_secrets_are_kept_as_hashes_only(studio_project, postgres_url):
    import psycopg

    made = Tokens.of(studio_project).create(NewToken(name="ci", scopes=[Scope.READ]))
    with psycopg.connect(postgres_url) as connection:
        text = str(connection.execute("SELECT * FROM _dteg.studio_tokens").fetchall())
        assert made.token not in text
        assert hash_of(made.token) in text


def test_a_token_ends_with_its_time(studio_project):
    now = utc_now()
    tokens = Tokens(studio_project, clock=lambda: now)
    made = tokens.create(NewToken(name="ci", scopes=[Scope.READ], expires_days=1))
    assert tokens.find(made.token).id == made.id
    cookie = tokens.open_session(made.id)
    assert tokens.find_session(cookie)[0]
    later = Tokens(studio_project, clock=lambda: now + timedelta(days=1))
    assert later.find(made.token) is None
    assert later.find_session(cookie) == (False, None)


def test_use_is_noted(studio):
    token = studio.token_of("read")
    assert studio.client.get("/tokens")["items"][0]["last_used_at"] is None
    with StudioClient(studio.url, token) as client:
        client.get("/openapi.json")
    assert studio.client.get("/tokens")["items"][0]["last_used_at"] is not None
