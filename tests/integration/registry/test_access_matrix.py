"""Every route, asked by everybody: nobody gets further than the rules allow.

The routes come from the app, so a new one is in the matrix at once. It turned red when, for a try, `Namespaces.require`
compared no roles, when `covers` always said yes, and when `Access` let every known account through.
"""

import re
from dataclasses import replace
from typing import Annotated

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings

from registry.access import Access, Role, Scope, routes_of
from registry.app import create_app
from registry.openapi import describe
from registry.testing import ALL_BUT_ADMIN
from tests.integration.registry.access_rules import BODIES, FORMS, NAMESPACE, PARAMETERS, rule_of

pytestmark = pytest.mark.integration
DENIED = (401, 403, 404)
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
WEAKEST_FIRST = [
    "nobody", "expired", "revoked", "wrong_scope", "other_namespace", "other_component", "stranger", "reader",
    "maintainer", "admin", "owner",
]  # fmt: skip


def all_routes(app):
    """Yield method and route of all that declare an access, in an order in which what is deleted was there before."""
    found = [
        (method, route)
        for route in routes_of(app)
        if isinstance(route.access, Access)
        for method in route.methods
        if method in METHODS
    ]
    return sorted(found, key=lambda each: (METHODS.index(each[0]), each[1].path))


@pytest.fixture
def app(registry):
    return create_app(registry.settings)


def smallest_bodies(document):
    """Return a small JSON body that fits the schema, by method and path of the operations that take one."""
    found = {}
    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = result.ok()
        if any(body.media_type == "application/json" for body in operation.body):
            found[f"{operation.method.upper()} {operation.path}"] = first_body(operation.as_strategy())
    return found


def first_body(strategy):
    """Return the body of the first example, which is the smallest."""
    bodies = []

    @settings(
        max_examples=1, phases=[Phase.generate], database=None, derandomize=True, deadline=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=strategy)
    def keep(case):
        bodies.append(case.body)

    keep()
    return bodies[0]


class World:
    """Accounts, a namespace with members of each role, and a credential for each way of asking."""

    def __init__(self, registry, app):
        self.registry = registry
        self.smallest = smallest_bodies(describe(app))
        for login in ("ada", "mia", "rex", "stranger", "guest"):
            registry.make_account(login)
        registry.make_account("boss", admin=True)
        registry.make_namespace(NAMESPACE, "ada", mia=Role.MAINTAINER, rex=Role.READER)
        registry.make_namespace("elsewhere", "ada")
        expired = registry.token_of("ada", expires_days=1)
        registry.clock.advance(days=2)
        revoked = registry.token_of("ada")
        registry.request("POST", "/oauth/revoke", data={"token": revoked})
        limited = [scope for scope in ALL_BUT_ADMIN if scope is not Scope.ACCOUNT]
        self.tokens = {
            "nobody": "", "expired": expired, "revoked": revoked, "stranger": registry.token_of("stranger"),
            "reader": registry.token_of("rex"), "maintainer": registry.token_of("mia"),
            "owner": registry.token_of("ada"), "admin": registry.token_of("boss"),
            "other_namespace": registry.token_of("ada", limited, namespace="elsewhere"),
            "other_component": registry.token_of("ada", limited, component=f"{NAMESPACE}/another-loader"),
        }  # fmt: skip
        # The administrator's, with every scope but one: even that one is missed.
        self.without = {
            scope: registry.token_of("boss", [each for each in Scope if each is not scope]) for scope in Scope
        }

    def ask(self, role, method, route):
        key = f"{method} {route.path}"
        body = BODIES.get(key, self.smallest.get(key))
        path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: PARAMETERS[match[1]], route.path)
        token = self.without[route.access.scope] if role == "wrong_scope" else self.tokens[role]
        options = {"data": FORMS[key]} if key in FORMS else {} if body is None else {"json": body}
        answer = self.registry.request(method, f"/{path}", token=token, **options)
        # A page sends who is not logged in to the login.
        to_login = answer.status_code == 303 and answer.headers["location"].startswith("/login")
        # A form tells a refusal in itself, with the status of a form that is not right; these ones are right.
        refused = key in FORMS and answer.status_code == 422
        return 401 if to_login else 403 if refused else answer.status_code


def may(role, rule, route):
    """Return whether a role may use a route; None where the rules leave it open."""
    scope = route.access.scope
    if role in ("expired", "revoked"):
        # The index does not even look at credentials, so bad ones are not refused: an `Access` of its own.
        unread = scope is None and type(route.access) is not Access
        return None if unread else False
    if role == "nobody":
        return not rule.account and scope is None
    if role == "wrong_scope":
        return None if scope is None else False
    if rule.admin:
        return role == "admin"
    if role in ("other_namespace", "other_component"):
        return False if rule.least is not None else None
    if rule.least is None:
        return True
    if role == "admin":
        return rule.admin_too
    mine = {"reader": Role.READER, "maintainer": Role.MAINTAINER, "owner": Role.OWNER}.get(role)
    return mine is not None and mine.includes(rule.least)


def test_nobody_gets_further_than_the_rules_allow(registry, app):
    world = World(registry, app)
    allowed, denied, crashed, asked = [], [], [], 0
    for method, route in all_routes(app):
        rule = rule_of(method, route)
        if rule is None or (method, route.path) == ("DELETE", "/api/v1/account"):
            continue  # the one is told by the next test; the other would end the accounts of this one
        for role in WEAKEST_FIRST:
            expected = may(role, rule, route)
            if expected is None:
                continue
            asked += 1
            status = world.ask(role, method, route)
            if not expected and status not in DENIED:
                allowed.append(f"{method} {route.path} as {role}: {status}")
            if status >= 500:
                crashed.append(f"{method} {route.path} as {role}: {status}")
            if expected and status in (401, 403) and not rule.own:
                denied.append(f"{method} {route.path} as {role}: {status}")
    assert allowed == [], "unexpected allows: " + "; ".join(allowed)
    # Otherwise a matrix in which everybody is refused for another reason would pass.
    assert denied == [], "unexpected refusals: " + "; ".join(denied)
    assert crashed == [], "crashes: " + "; ".join(crashed)
    assert asked > 150


def test_every_route_has_a_rule(app):
    missing = [
        f"{method} {route.path}" for method, route in all_routes(app) if rule_of(method, route) is None
    ]
    assert missing == [], "say in access_rules.py who may use these"


def test_every_parameter_of_a_path_has_a_stand_in(app):
    names = {name for _, route in all_routes(app) for name in re.findall(r"\{(\w+)", route.path)}
    assert names <= set(PARAMETERS)


def test_a_new_route_joins_and_fails_without_a_rule(app):
    from registry.access import Principal, allow

    @app.post("/api/v1/new-thing")
    def new_thing(who: Annotated[Principal, allow(Scope.REVIEW)]) -> None: ...

    (found,) = [(method, route) for method, route in all_routes(app) if route.path == "/api/v1/new-thing"]
    assert rule_of(*found) is None


def test_ids_of_others_are_not_found(registry):
    """The routes on one's own things, asked for the things of somebody else."""
    registry.make_account("ada")
    registry.make_account("eve")
    token_id = registry.token_of("ada").split("_")[1]
    eve = registry.token_of("eve")
    assert registry.request("DELETE", f"/tokens/{token_id}", token=eve).status_code == 404
    assert token_id not in registry.request("GET", "/tokens", token=eve).text


def test_a_principal_without_account_owns_nothing(registry):
    registry.make_account("ada")
    registry.make_namespace(NAMESPACE, "ada")
    nobody = replace(registry.who("ada"), user_id="")
    with pytest.raises(Exception, match="log in"):
        registry.run(registry.services.namespaces.require(nobody, NAMESPACE, Role.READER))
