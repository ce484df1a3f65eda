"""The API does what its OpenAPI document says, whatever is sent: generated requests, always the same ones.

The time is bounded by the number of examples; DTEG_OPENAPI_EXAMPLES gives more.
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
EXAMPLES = int(os.environ.get("DTEG_OPENAPI_EXAMPLES", "6"))
CHECKS = [
    not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance,
]  # fmt: skip


@pytest.fixture
def schema(studio):
    return schemathesis.openapi.from_dict(studio.client.get("/openapi.json"))


def is_stream(operation):
    """Return whether an answer has no end: those are tested by their own domain."""
    answers = operation.definition.raw["responses"].values()
    return any("text/event-stream" in answer.get("content", {}) for answer in answers)


def check(operation, base_url, people, first, examples):
    """Send generated requests as `first`, and a few of them as the others too; yield what was wrong.

    What differs for the others is who may: a few requests show it. All of them send the same ones, because making
    them takes longer than answering them.
    """
    told = []

    @seed(20_260)
    @settings(
        max_examples=examples, deadline=None, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=operation.as_strategy())
    def run(case):
        told.append([])
        for who, headers in people.items():
            if who != first and len(told) > max(1, examples // 3):
                continue
            # `call_and_validate` would also send requests of its own: here each example is one request.
            response = case.call(base_url=base_url, headers=headers, timeout=30)
            try:
                case.validate_response(response, checks=CHECKS)
            except (Exception, FailureGroup) as error:  # noqa: BLE001 - all are told, not the first only
                told[-1].append(f"{operation.label} as {who}: {error}")

    run()
    return [each for failures in told for each in failures]


def test_every_answer_is_as_documented(studio, schema):
    people = {"nobody": {}, "reader": bearer(studio.token_of("read")), "owner": bearer(studio.token)}
    failures, count = [], 0
    for result in schema.get_all_operations():
        operation = result.ok()
        count += 1
        if is_stream(operation):
            continue
        failures += check(operation, studio.url, people, "owner", EXAMPLES)
    assert failures == [], "\n\n".join(failures)
    assert count >= 4
    assert studio.request("GET", "//readyz").status_code == 200


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


def test_the_document_says_how_errors_look(schema):
    document = schema.raw_schema
    assert "Problem" in document["components"]["schemas"]
    for path in document["paths"].values():
        for operation in path.values():
            for wanted in ("4XX", "5XX"):
                assert "application/problem+json" in operation["responses"][wanted]["content"]
            assert "422" not in operation["responses"]
            assert operation["description"], "say in one sentence what it does"
