"""What the contract suite is told about one connector, and how its checks speak."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dteg.connectors.base import Connector, ConnectorConfig, Context
from dteg.core.batch import Batch
from dteg.core.identifiers import TableName
from dteg.testing.samples import make_context

# A value, the name of a pytest fixture that gives it, or a function whose parameters are fixtures.
Given = Any
ReadBack = Callable[[Any, TableName], list[dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Subject:
    """The arguments of `contract_tests`; see there."""

    cls: type[Connector[Any]]
    config: Given
    bad_config: Sequence[Mapping[str, Any]] = ()
    broken: Given = ()
    sample: Given = None
    read_back: Given = None
    lazy: tuple[str, ...] = ()
    packaged: bool = True
    drops_rows: bool = False
    needs_columns: bool = True


@dataclass
class Case:
    """One test's view of the connector, with everything that was given resolved."""

    subject: Subject
    config: dict[str, Any]
    broken: list[dict[str, Any]]
    sample: list[Batch]
    read_back: ReadBack | None
    folder: Path
    contexts: list[Context] = field(default_factory=list)

    @property
    def model(self) -> type[ConnectorConfig]:
        """The connector's config model."""
        return self.subject.cls.config_model

    def checked_config(self, **changes: Any) -> ConnectorConfig:
        """Return the config as the model reads it, with changes."""
        return self.model.model_validate({**self.config, **changes})

    def create(self, config: Mapping[str, Any] | None = None) -> Connector[Any]:
        """Make the connector, with a context of its own."""
        self.contexts.append(make_context(self.folder))
        return self.subject.cls(self.model.model_validate(config or self.config), self.contexts[-1])


def must(condition: object, message: str) -> None:
    """Fail the test with a message that says what the connector owes."""
    if not condition:
        raise AssertionError(message)


@contextlib.contextmanager
def must_raise(expected: type[Exception], what: str) -> Iterator[None]:
    """Fail the test unless the block raises `expected`."""
    try:
        yield
    except expected:
        return
    except Exception as error:
        raise AssertionError(f"{what}: must raise {expected.__name__}, raised {error!r}") from error
    raise AssertionError(f"{what}: must raise {expected.__name__}, but nothing was raised")
