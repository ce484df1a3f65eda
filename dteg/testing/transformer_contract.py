"""What a transformer owes. The tests' names are the promises."""

import re
from typing import Any

from dteg.connectors.base import Transformer
from dteg.testing.case import Case, must
from dteg.testing.connector_contract import ConnectorContract

_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\w*)\$.*?\$\1\$", re.DOTALL)
_ENDS_TRANSACTION = re.compile(r"(begin|start transaction|commit|end|rollback|abort|prepare transaction)\b")
_NEEDS_NONE = re.compile(
    r"(vacuum|create (unique )?index concurrently|create database|drop database|alter system)\b"
)


class TransformerContract(ConnectorContract):
    """Its SQL follows from its config, and can run in one transaction."""

    def test_sql_is_stable(self, case: Case) -> None:
        """Two transformers with one config have the same statements."""
        first, second = _create(case).sql(), _create(case).sql()
        must(first == second, "sql() must return the same each time")
        must(_statements(first), "sql() returns no statement")

    def test_sql_leaves_the_transaction_alone(self, case: Case) -> None:
        """The engine begins and ends it; so a failure leaves the tables as they were."""
        for statement in _statements(_create(case).sql()):
            must(
                not _ENDS_TRANSACTION.match(statement),
                f"must not begin or end a transaction: {statement[:60]}",
            )
            must(not _NEEDS_NONE.match(statement), f"cannot run in a transaction: {statement[:60]}")


def _create(case: Case) -> Transformer[Any]:
    connector = case.create()
    assert isinstance(connector, Transformer)
    return connector


def _statements(text: str) -> list[str]:
    """Split SQL at its semicolons, without comments, and without what stands in quotes."""
    plain = _COMMENT.sub(" ", _QUOTED.sub("''", text))
    return [" ".join(each.lower().split()) for each in plain.split(";") if each.strip()]
