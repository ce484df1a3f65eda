"""Each file becomes the tables of its gold, proved by the engine and once more here."""

from collections import Counter

import duckdb
import pytest

from dteg.core.project import Project
from dteg.normalize.service import Normalizer, NormalizeRequest
from tests.integration.normalize.cases import ALL, NORMAL, f1

LEAST_F1 = 0.9


@pytest.fixture(scope="module")
def scores():
    found = {}
    yield found
    if len(found) == len(ALL):
        mean = sum(found.values()) / len(found)
        assert mean >= LEAST_F1, f"mean F1 of {len(found)} cases: {mean:.3f}; {found}"


@pytest.mark.parametrize("case", ALL, ids=lambda case: case.name)
def test_a_file_becomes_its_tables(case, scores, tmp_path):
    file, out = tmp_path / f"{case.name}.csv", tmp_path / "out"
    file.write_text(case.text())
    request = NormalizeRequest.model_validate({"out": str(out), "table_format": "parquet", **case.options})
    result = Normalizer.of(Project(tmp_path)).run(request, str(file))
    assert result.proof.holds
    found = [{name for name in table.columns if name != "row_id"} for table in result.plan.tables]
    scores[case.name] = f1(found, case.tables())
    shown = [sorted(table) for table in found]
    if case.exact:
        assert sorted(shown) == sorted(sorted(table) for table in case.tables())
    assert scores[case.name] >= (1.0 if case in NORMAL else 0.8), shown
    types, rows = joined_again(out)
    assert Counter(rows) == Counter(rows_of(file, types)), "the written files are not the file"


def joined_again(out):
    """Join the written files by the query in schema.sql, in a database that knows nothing else."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'; CREATE SCHEMA written")
        for path in out.glob("*.parquet"):
            connection.execute(f"CREATE VIEW written.\"{path.stem}\" AS SELECT * FROM '{path}'")
        script = (out / "schema.sql").read_text()
        schema = script.partition("CREATE SCHEMA IF NOT EXISTS ")[2].partition(";")[0]
        view = script.split("CREATE VIEW ")[1].partition(" AS\n")[2].rstrip(";\n")
        view = view.replace(f"{schema}.", "written.").replace("AS double precision", "AS double")
        types = [(name, type_) for name, type_, *_ in connection.execute(f"DESCRIBE {view}").fetchall()]
        texts = ", ".join(f'"{name}"::VARCHAR' for name, _ in types)
        return types, connection.execute(f"SELECT {texts} FROM ({view})").fetchall()


def rows_of(file, types):
    """Read the file as texts, each brought into the form of its column's type."""
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        texts = ", ".join(f'"{name}"::{type_}::VARCHAR' for name, type_ in types)
        return connection.execute(
            f"SELECT {texts} FROM read_csv('{file}', header = true, all_varchar = true)"
        ).fetchall()
