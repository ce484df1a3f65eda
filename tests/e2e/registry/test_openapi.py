"""The API does what its OpenAPI document says, whatever is sent: generated requests, always the same ones.

The time is bounded by the number of examples; DTEG_OPENAPI_EXAMPLES gives more. It turned red when, for a try, `GET /usage`
answered without one of its fields, and when the search failed for texts beyond Latin-1 (seen with 12 examples, not with 6).
"""

import os

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]
EXAMPLES = int(os.environ.get("DTEG_OPENAPI_EXAMPLES", "12"))
CHECKS = [
    not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance,
]  # fmt: skip


@pytest.fixture
def schema(registry):
    return schemathesis.openapi.from_dict(registry.request("GET", "//api/v1/openapi.json").json())


def check(operation, base_url, headers, examples):
    @seed(20_260)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def run(case):
        # `call_and_validate` would also send requests of its own: here each example is one request.
        response = case.call(base_url=base_url, headers=headers, timeout=30)
        case.validate_response(response, checks=CHECKS)

    run()


@pytest.mark.parametrize("login", ["nobody", "ada", "boss"])
def test_every_answer_is_as_documented(registry, schema, login):
    registry.make_account("ada")
    registry.make_account("boss", admin=True)
    registry.make_namespace("acme", "ada")
    headers = {} if login == "nobody" else {"Authorization": f"Bearer {registry.token_of(login)}"}
    # What differs for the others is who may: a few requests show it.
    examples = EXAMPLES if login == "ada" else EXAMPLES // 3 or 1
    failures, count = [], 0
    for result in schema.get_all_operations():
        operation = result.ok()
        count += 1
        try:
            check(operation, registry.url, headers, examples)
        except (Exception, FailureGroup) as error:  # noqa: BLE001 - all operations are told, not the first only
            failures.append(f"{operation.label}: {error}")
    assert failures == [], "\n\n".join(failures)
    assert count >= 20
    assert registry.request("GET", "//readyz").status_code == 200


def test_the_document_says_how_errors_look(registry, schema):
    document = schema.raw_schema
    assert "Problem" in document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            for wanted in ("4XX", "5XX"):
                assert "application/problem+json" in operation["responses"][wanted]["content"]
            assert "422" not in operation["responses"]
