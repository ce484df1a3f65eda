"""An error of the library is the same one after its way over HTTP."""

import inspect

import httpx
import pytest

from dteg.core import errors
from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DeniedError,
    DtegError,
    EnvironmentProblemError,
    InputError,
    MissingExtraError,
    NotAvailableError,
    NotFoundError,
    PermanentError,
    Problem,
    QualityGateError,
    SchemaDriftError,
    TransientError,
    UnavailableError,
)
from dteg.core.problem_codes import CODES
from dteg.studio_client import StudioClient
from dteg.webapp.problems import answer_to

ERRORS = [
    ConfigError("one thing"),
    ConfigError([Problem("no such key", "steps[0]", "a.yaml", 3), Problem("another")]),
    InputError("not a number", source="a.csv", line=7, row=6),
    QualityGateError("2 checks failed", failed=["a"]),
    NotAvailableError("datasets"),
    NotFoundError("there is no table x"),
    ConflictError("it exists already"),
    DeniedError("not for you"),
    UnavailableError("try later", retry_after_s=7),
    EnvironmentProblemError("pg_dump is missing; run: apt-get install postgresql-client"),
    PermanentError("column x does not exist"),
    SchemaDriftError("the type changed"),
    TransientError("deadlock", retry_after_s=3),
    DtegError("refused"),
]


def over_http(error):
    def answer(request):
        made = answer_to(error, CODES)
        return httpx.Response(made.status_code, headers=dict(made.headers), content=bytes(made.body))

    with StudioClient("http://127.0.0.1:1", transport=httpx.MockTransport(answer)) as client:
        with pytest.raises(DtegError) as raised:
            client.get("/x")
        return raised.value


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_class_and_message_are_the_same(error):
    found = over_http(error)
    assert type(found) is type(error)
    assert str(found) == str(error)
    assert found.exit_code == error.exit_code


def test_the_time_to_wait_crosses_too():
    assert over_http(UnavailableError("x", retry_after_s=7)).retry_after_s == 7
    assert over_http(TransientError("x", retry_after_s=3)).retry_after_s == 3


def test_a_class_without_a_code_becomes_the_nearest_with_one():
    assert type(over_http(MissingExtraError("x", "y"))) is EnvironmentProblemError


def test_every_class_of_error_has_a_status_of_its_kind():
    for kind in vars(errors).values():
        if inspect.isclass(kind) and issubclass(kind, DtegError):
            nearest = next(each for each in kind.__mro__ if each in CODES)
            # What is no fault of the caller is never told as one, and the other way round.
            mine = issubclass(kind, UnavailableError | EnvironmentProblemError | TransientError)
            assert (CODES[nearest][0] >= 500) == mine, kind


def test_codes_are_unique():
    codes = [code for _, code in CODES.values()]
    assert len(codes) == len(set(codes))
