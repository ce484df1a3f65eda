"""The names that errors have between a program and an HTTP service: the service writes `code`, the client reads it."""

from dteg.core.errors import (
    ConfigError,
    ConflictError,
    ConnectorError,
    DeniedError,
    DtegError,
    EnvironmentProblemError,
    InputError,
    NotAvailableError,
    NotFoundError,
    PermanentError,
    Problem,
    QualityGateError,
    RegistryError,
    SchemaDriftError,
    TransientError,
    UnavailableError,
)

# Status and code of each class; one that is not here is answered as the nearest class above it.
CODES: dict[type[DtegError], tuple[int, str]] = {
    DtegError: (400, "refused"),
    ConfigError: (422, "invalid"),
    InputError: (422, "bad_input"),
    QualityGateError: (422, "quality_gate"),
    NotAvailableError: (422, "not_available"),
    NotFoundError: (404, "not_found"),
    ConflictError: (409, "conflict"),
    DeniedError: (403, "denied"),
    UnavailableError: (503, "unavailable"),
    EnvironmentProblemError: (503, "environment"),
    ConnectorError: (422, "connector"),
    PermanentError: (422, "permanent"),
    SchemaDriftError: (422, "schema_drift"),
    TransientError: (503, "transient"),
    RegistryError: (400, "marketplace"),
}
_CLASSES = {code: kind for kind, (_, code) in CODES.items()}


def error_for_code(code: str, detail: str, problems: list[str], retry_after_s: float) -> DtegError:
    """Return the error that a service meant, with the message it wrote.

    Args:
        code: Its name; an unknown one becomes the root of all.
        detail: The message.
        problems: Of a wrong configuration, one by one.
        retry_after_s: When to try again.
    """
    kind = _CLASSES.get(code, DtegError)
    if kind is ConfigError:
        return ConfigError([Problem(each) for each in problems] or detail)
    if kind is UnavailableError:
        return UnavailableError(detail, retry_after_s=retry_after_s)
    if kind is TransientError:
        return TransientError(detail, retry_after_s=retry_after_s)
    if kind is NotAvailableError:
        # It puts words before what it is given, and these are there already.
        return NotAvailableError(detail.removeprefix(str(NotAvailableError(""))))
    return kind(detail)
