"""Every route, asked by everybody: nobody gets further than the rules allow.

The routes come from the app, so a new one is in the matrix at once. The last test breaks the check on purpose, and the
matrix must see it.
"""

import re
from dataclasses import dataclass, field

import httpx
import pytest

from dteg.tokens.models import Scope, with_included
from studio.access import Access, Principal, routes_of
from studio.app import create_app, describe
from studio.services import Services
from tests.integration.studio.access_rules import NOBODY, PARAMETERS, RULES

pytestmark = pytest.mark.integration
DENIED = (401, 403)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
# The weakest first: who may not, must not find the way prepared by who may.
ROLES = {
    "nobody": (), "wrong": (), "revoked": (), "publish": (Scope.PUBLISH,), "subscribe": (Scope.SUBSCRIBE,),
    "read": (Scope.READ,), "write": (Scope.WRITE,),
    "all but admin": (Scope.WRITE, Scope.PUBLISH, Scope.SUBSCRIBE), "admin": (Scope.ADMIN,),
}  # fmt: skip


@dataclass
class Findings:
    """What the matrix has found."""

    allowed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    unreached: list[str] = field(default_factory=list)
    asked: int = 0


def routes(studio):
    """Return method and path of every route, what is deleted last."""
    app = create_app(studio.services.settings, Services(studio.project, studio.services.settings))
    found = [
        (method, re.sub(r"{(\w+):\w+}", r"{\1}", route.path))
        for route in routes_of(app)
        if isinstance(route.access, Access)
        for method in route.methods & set(METHODS)
    ]
    return sorted(found, key=lambda each: (METHODS.index(each[0]), each[1]))


def rule_of(method, path):
    for pattern, scope in RULES:
        if re.fullmatch(pattern, f"{method} {path}"):
            return scope
    return Scope.READ if method == "GET" else Scope.WRITE


def matrix(studio, wanted=".*"):
    tokens = {name: studio.token_of(*scopes) for name, scopes in ROLES.items() if scopes}
    tokens |= {"nobody": "", "wrong": "dteg_studio_000000000000_wrong", "revoked": studio.token_of("admin")}
    newest = studio.services.tokens.list()[0].name
    studio.services.tokens.revoke(newest)
    found = Findings()
    with httpx.Client(base_url=studio.url, timeout=30, trust_env=False) as client:
        for method, path in routes(studio):
            if not re.fullmatch(wanted, path):
                continue
            rule = rule_of(method, path)
            for role, scopes in ROLES.items():
                may = rule is NOBODY or rule in with_included(list(scopes))
                # Bad credentials are refused even where none are needed.
                may = may and role not in ("wrong", "revoked")
                ask(client, found, f"{method} {path}", role=role, token=tokens[role], may=may)
    return found


def ask(client, found, route, *, role, token, may):
    method, path = route.split(" ", 1)
    url = re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: PARAMETERS.get(match[1], "1"), path)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    options = {} if method in ("GET", "DELETE") else {"json": {}}
    # Only the beginning: an answer may be a stream without end.
    with client.stream(method, url, headers=headers, **options) as response:
        status = response.status_code
        short = "event-stream" not in response.headers.get("content-type", "")
        text = response.read().decode("utf-8", "replace") if status >= 400 and short else ""
    found.asked += 1
    told = f"{route} as {role}: {status}"
    if not may and status not in DENIED:
        found.allowed.append(told)
    if may and status in DENIED and not (status == 401 and path == "/login"):
        found.refused.append(told)
    if status >= 500:
        found.crashed.append(told)
    if status == 404 and '"detail":"Not Found"' in text:
        found.unreached.append(told)


def test_nobody_gets_further_than_the_rules_allow(studio):
    found = matrix(studio)
    assert found.allowed == [], "unexpected allows: " + "; ".join(found.allowed)
    # Otherwise a matrix in which everybody is refused for another reason would pass.
    assert found.refused == [], "unexpected refusals: " + "; ".join(found.refused)
    assert found.crashed == [], "crashes: " + "; ".join(found.crashed)
    assert found.unreached == [], "give a stand-in that fits: " + "; ".join(found.unreached)
    assert found.asked > 100


def test_every_operation_of_the_document_is_in_the_matrix(studio):
    app = create_app(studio.services.settings, Services(studio.project, studio.services.settings))
    documented = {
        (method.upper(), path) for path, operations in describe(app)["paths"].items() for method in operations
    }
    assert documented <= set(routes(studio))
    assert len(documented) >= 4


def test_no_socket_opens_for_who_may_not(studio):
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    app = create_app(studio.services.settings, Services(studio.project, studio.services.settings))
    paths = [route.path for route in routes_of(app) if not route.methods and isinstance(route.access, Access)]
    for path in paths:
        url = studio.url.replace("http", "ws") + re.sub(r"\{\w+\}", "1", path)
        for token in ("", "wrong", studio.token_of("read")):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            with (
                pytest.raises(InvalidStatus) as refused,
                connect(url, additional_headers=headers, proxy=None),
            ):
                pass
            assert refused.value.response.status_code in DENIED, path


@pytest.mark.parametrize("broken", ["scopes are not compared", "the route declares too little"])
def test_the_matrix_sees_a_check_that_is_broken(studio, monkeypatch, broken):
    if broken == "scopes are not compared":
        monkeypatch.setattr(Principal, "may", lambda self, scope: self.known)
    else:
        original = Access.__call__

        async def lax(self, connection):
            self = Access(Scope.READ) if self.scope is Scope.ADMIN else self
            return await original(self, connection)

        monkeypatch.setattr(Access, "__call__", lax)
    found = matrix(studio, wanted="/api/v1/(tokens|login-links).*")
    assert any("GET /api/v1/tokens as read" in each for each in found.allowed)
