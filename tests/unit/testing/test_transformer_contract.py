"""The suite of transformers finds what it is there to find."""

from pathlib import Path

import pytest
from pydantic import Field

from dteg.connectors import Capabilities, ConnectorConfig, Transformer
from dteg.testing.case import Case, Subject
from dteg.testing.transformer_contract import TransformerContract


class Config(ConnectorConfig):
    text: str = Field("select 1", description="SQL.")


class Fixed(Transformer[Config]):
    capabilities = Capabilities()

    def sql(self):
        return self.config.text


class Fickle(Fixed):
    count = 0

    def sql(self):
        Fickle.count += 1
        return f"select {Fickle.count}"


def check(name, text, tmp_path: Path, cls=Fixed):
    case = Case(Subject(cls, {}), {"text": text}, [], [], None, tmp_path)
    getattr(TransformerContract(), name)(case)


@pytest.mark.parametrize(
    "text",
    ["begin; select 1", "select 1; COMMIT", "select 1;\n  rollback", "/* x */ start\ttransaction", "-- x\nend", "vacuum t",
     "create index concurrently i on t (a)", "create  unique index concurrently i on t (a)", "alter system set x = 1"],
)  # fmt: skip
def test_transaction_control_is_found(tmp_path, text):
    with pytest.raises(AssertionError, match="transaction"):
        check("test_sql_leaves_the_transaction_alone", text, tmp_path)


@pytest.mark.parametrize(
    "text",
    ["insert into t values ('; commit')", 'select "begin" from t', "do $$ begin perform 1; end $$", "-- commit\nselect 1",
     "create index i on t (a)", "select 1 /* ; rollback */", "do $f$ begin commit; end $f$"],
)  # fmt: skip
def test_words_in_quotes_and_comments_are_no_statements(tmp_path, text):
    check("test_sql_leaves_the_transaction_alone", text, tmp_path)


@pytest.mark.parametrize("text", ["", "  ", ";", "-- nothing", "/* nothing */ ;"])
def test_no_statement(tmp_path, text):
    with pytest.raises(AssertionError, match="no statement"):
        check("test_sql_is_stable", text, tmp_path)


def test_sql_that_changes_is_found(tmp_path):
    with pytest.raises(AssertionError, match="the same each time"):
        check("test_sql_is_stable", "select 1", tmp_path, Fickle)
