"""Which status and code each error of the registry has."""

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pymongo.errors import PyMongoError

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    DtegError,
    InputError,
    NotFoundError,
    QualityGateError,
)
from dteg.webapp import problems
from registry.database import CONNECTION_ERRORS

_CODES: problems.Codes = {
    DtegError: (400, "refused"),
    NotFoundError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    ConfigError: (422, "invalid"),
    InputError: (422, "invalid"),
    QualityGateError: (422, "invalid"),
}


def add_handlers(app: FastAPI) -> None:
    """Teach an app to answer with problems instead of tracebacks."""
    problems.add_handlers(app, _CODES)
    app.add_exception_handler(PyMongoError, _database)


async def _database(_: Request, error: Exception) -> JSONResponse:
    if isinstance(error, CONNECTION_ERRORS):
        return unavailable()
    raise error


def unavailable() -> JSONResponse:
    """Return the answer while the database is down."""
    return problems.unavailable("the registry's database does not answer; try again")
