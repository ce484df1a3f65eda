"""Every error of the project, sorted by what should happen next.

DtegError                  the root; `exit_code` is what the CLI returns
  ConfigError          2   fix the YAML or the option; carries `problems`
  InputError           2   the data itself cannot be read; carries source and position
  EnvironmentProblemError 3  something is missing on this machine; says the command that mends it
    MissingExtraError  3   an optional dependency is not installed
  NotAvailableError    1   valid configuration for a part that this version does not run
  ConnectorError       1   carries `component` and `stream`
    TransientError     1   try again; carries `retry_after_s`
    PermanentError     1   trying again cannot help
      SchemaDriftError 1   the source no longer fits the target under the chosen policy
    RecordError        1   one record is bad: it goes to the dead letters
  QualityGateError     1   data refused; carries the failed checks
  RegistryError        1   the marketplace refused, or could not answer
    NotFoundError      1   there is no such thing, or not for you
    ConflictError      1   it exists already, or changed meanwhile
    DeniedError        1   log in, or ask for the right
    UnavailableError   1   try later; carries `retry_after_s`

Messages never hold a secret: connectors raise these from their driver's errors, and pass
texts of drivers through `dteg.core.secrets.redact` first.
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a configuration file.

    Attributes:
        message: What is wrong and what to do.
        path: Where in the document, such as `steps[0].extract.config.path`.
        file: The file as the user named it.
        line: 1-based line in that file.
    """

    message: str
    path: str = ""
    file: str = ""
    line: int | None = None

    def __str__(self) -> str:
        """Render as `file:line: path: message`, leaving out what is unknown."""
        place = f"{self.file}:{self.line}" if self.file and self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class DtegError(Exception):
    """Root of all errors that dteg raises on purpose."""

    exit_code = 1


class ConfigError(DtegError):
    """The configuration is wrong: fix each of `problems`."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        """Take the problems, or one message."""
        self.problems = [Problem(problems)] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class InputError(DtegError):
    """A file or response cannot be read as what it should be: repair it at the given place."""

    exit_code = 2

    def __init__(
        self, message: str, *, source: str = "", line: int | None = None, row: int | None = None
    ) -> None:
        """Remember the place.

        Args:
            message: What is wrong and what to do.
            source: File or URL.
            line: 1-based line of the file.
            row: 1-based data row, header not counted.
        """
        self.source, self.line, self.row = source, line, row
        place = source
        if line is not None:
            place += f":{line}"
        if row is not None:
            place += f" (row {row})"
        super().__init__(f"{place}: {message}" if place else message)


class EnvironmentProblemError(DtegError):
    """This machine lacks something: run the command in the message."""

    exit_code = 3


class MissingExtraError(EnvironmentProblemError):
    """An optional dependency is needed."""

    def __init__(self, extra: str, needed_for: str) -> None:
        """Name the extra of `dteg` and what needs it."""
        self.extra = extra
        super().__init__(f'{needed_for} needs an optional part: uv pip install "dteg[{extra}]"')


class NotAvailableError(DtegError):
    """The file is valid, but uses a part that this version cannot run yet."""

    def __init__(self, what: str) -> None:
        """Name the part."""
        super().__init__(f"not available yet: {what}")


class ConnectorError(DtegError):
    """A connector failed."""

    def __init__(self, message: str, *, component: str = "", stream: str = "") -> None:
        """Remember which connector and stream."""
        self.component, self.stream = component, stream
        super().__init__(message)


class TransientError(ConnectorError):
    """Trying again may help; wait at least `retry_after_s`."""

    def __init__(
        self, message: str, *, component: str = "", stream: str = "", retry_after_s: float | None = None
    ) -> None:
        """Remember how long the other side asked us to wait."""
        self.retry_after_s = retry_after_s
        super().__init__(message, component=component, stream=stream)


class PermanentError(ConnectorError):
    """Trying again cannot help: change the configuration, the rights or the data."""


class SchemaDriftError(PermanentError):
    """The source's columns no longer fit the target: change the schema policy or the table."""


class RecordError(ConnectorError):
    """One record is bad; it belongs in the dead letters."""

    def __init__(self, message: str, *, position: str = "", component: str = "", stream: str = "") -> None:
        """Remember where the record lies in its source."""
        self.position = position
        super().__init__(message, component=component, stream=stream)


class QualityGateError(DtegError):
    """Data was refused by its rules: repair the data or the rule.

    Attributes:
        failed: The names of the failed checks.
    """

    def __init__(self, message: str, *, failed: Sequence[str] = ()) -> None:
        """Remember the failed checks."""
        self.failed = list(failed)
        super().__init__(message)


class RegistryError(DtegError):
    """The marketplace refused a request: the message says why and what to do."""


class NotFoundError(RegistryError):
    """There is no such thing, or it is not for you to see: check the name."""


class ConflictError(RegistryError):
    """It exists already, or changed meanwhile: read it again, or choose another name or version."""


class DeniedError(RegistryError):
    """Not allowed: log in, or ask an owner for the right.

    Attributes:
        authenticate: Whether logging in could help.
    """

    def __init__(self, message: str, *, authenticate: bool = False) -> None:
        """Remember whether logging in could help."""
        self.authenticate = authenticate
        super().__init__(message)


class UnavailableError(RegistryError):
    """The marketplace, or what it stands on, does not answer now: try again after `retry_after_s`."""

    def __init__(self, message: str, *, retry_after_s: float = 5.0) -> None:
        """Remember how long to wait."""
        self.retry_after_s = retry_after_s
        super().__init__(message)
