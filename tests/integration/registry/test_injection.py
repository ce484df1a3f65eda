"""No dict of a client reaches a query: operators are refused wherever a text is expected.

It turned red when, for a try, the body of `POST /namespaces` was read as a plain dict, and when its name could be of
any type.
"""

import json

import pytest

from registry.app import create_app
from registry.openapi import describe
from registry.testing import PASSWORD

pytestmark = pytest.mark.integration
OPERATORS = [
    {"$ne": ""},
    {"$gt": ""},
    {"$regex": ".*"},
    {"$where": "1"},
    {"$in": [""]},
    ["$ne", ""],
    {"$exists": True},
]


def bodies(document):
    """Yield every JSON body of the API, with the names of its fields."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            content = operation.get("requestBody", {}).get("content", {})
            if schema := content.get("application/json", {}).get("schema"):
                if "$ref" in schema:
                    schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
                yield method, path, schema


def fill(path):
    from tests.integration.registry.access_rules import PARAMETERS

    for name, value in PARAMETERS.items():
        path = path.replace(f"{{{name}}}", value)
    return path


def test_every_field_of_every_body_refuses_operators(registry):
    registry.make_account("boss", admin=True)
    token = registry.token_of("boss")
    found = list(bodies(describe(create_app(registry.settings))))
    assert len(found) >= 8
    reached = []
    with registry.client(token) as client:
        for method, path, schema in found:
            if schema.get("additionalProperties") is not False:
                reached.append(f"{method} {path} takes keys that no model names")
            fields = list(schema.get("properties", {}))
            for operator in OPERATORS:
                whole = client.request(method, registry.url + fill(path), json=operator)
                if whole.status_code != 422:
                    reached.append(f"{method} {path} took {operator} as its body: {whole.status_code}")
                body = dict.fromkeys(fields, operator)
                answer = client.request(method, registry.url + fill(path), json=body)
                if answer.status_code != 422:
                    reached.append(f"{method} {path} took {operator}: {answer.status_code}")
    assert reached == []


@pytest.mark.parametrize("operator", OPERATORS)
def test_logins_refuse_operators(registry, operator):
    registry.make_account("ada")
    form = {"grant_type": "password", "username": json.dumps(operator), "password": PASSWORD}
    assert registry.request("POST", "/oauth/token", data=form).status_code == 401
    for name in ("username[$ne]", "username.$ne", "$where"):
        odd = {"grant_type": "password", name: "", "password": PASSWORD}
        assert registry.request("POST", "/oauth/token", data=odd).status_code == 401
    body = {"grant_type": "password", "username": operator, "password": operator}
    assert registry.request("POST", "/oauth/token", json=body).status_code == 422


def test_operators_in_paths_and_queries_are_only_texts(registry):
    registry.make_account("ada")
    registry.make_account("boss", admin=True)
    registry.make_namespace("acme", "ada")
    token = registry.token_of("boss")
    with registry.client(token) as client:
        for text in ("%24ne", "%7B%22%24ne%22%3A%22%22%7D", "acme%00", "..%2F..", "$where"):
            assert client.get(f"{registry.url}/api/v1/namespaces/{text}").status_code in (404, 422)
        everything = client.get("/audit").json()["items"]
        assert everything
        assert client.get("/audit", params={"target[$ne]": ""}).json()["items"] == everything, (
            "an unknown parameter"
        )
        assert client.get("/audit", params={"target": '{"$ne": ""}'}).json()["items"] == []
        assert client.get("/audit", params={"actor": "$gt"}).json()["items"] == []


def test_unknown_keys_and_odd_texts_are_refused(registry):
    good = {"login": "ada", "email": "ada@example.org", "password": PASSWORD}
    for change in (
        {"is_admin": True}, {"_id": "x"}, {"$set": {"is_admin": True}}, {"email": "a\x00@example.org"},
        {"email": "a@example.org\n"}, {"login": "ada\x00"}, {"login": 1}, {"login": None}, {"password": ["x" * 20]},
    ):  # fmt: skip
        answer = registry.request("POST", "/accounts", json={**good, **change})
        assert answer.status_code == 422, change
    broken = json.dumps(good).replace("ada@", "\\ud800@")
    answer = registry.request(
        "POST", "/accounts", content=broken, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert registry.request("POST", "/accounts", json=good).status_code == 201
    assert registry.run(registry.services.accounts.by_login("ada")).is_admin is False
