"""The corpus of bad inputs, and the reference page made from it.

python -m tests.e2e.bad_input.corpus       write docs/reference/bad-input.md anew
"""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.bad_input import csv_cases, json_cases, parquet_cases, pipeline_cases
from tests.e2e.bad_input.case import SEEDED, TARGET, Case

CASES: list[Case] = [*pipeline_cases.CASES, *csv_cases.CASES, *json_cases.CASES, *parquet_cases.CASES]
REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "bad-input.md"

_TITLES = {
    "pipeline file": "Pipeline files",
    "csv": "CSV",
    "json": "JSON and JSON lines",
    "parquet": "Parquet",
}
_INTRODUCTION = f"""\
# Bad input

What `dteg run` does with input that is broken. Each line is a test; the page is made from the tests
(`python -m tests.e2e.bad_input.corpus`).

- **Exit 2**: the pipeline file or the data file is wrong as a whole. One message on standard error says
  what, the file and the line or row. Nothing in the database has changed.
- **Exit 1**: the file can be read, but a policy refuses what is in it (`max_bad_rows`, `schema_policy`, a key
  of the table), or the pipeline uses a part that is not available yet. The message says which.
- **Exit 0**: the input is fine, or the policy allows it. Rows that were set aside are in
  `<table>__dead_letters` with reason, position and payload.

*Row* counts the data rows of the file from 1, *record* those that could be read, *line* the lines of the file.
In the examples the pipeline is `pipelines/bad.yaml` and merges into `{TARGET}`, which held {len(SEEDED)} rows before.
The first load of all into a database makes the empty schema `_dteg`, and the first one into a schema makes that
schema, also when the load itself is refused.
"""


def reference() -> str:
    """Return the reference page."""
    return "\n".join([_INTRODUCTION, *(line for kind in _TITLES for line in _table(kind))])


def _table(kind: str) -> Iterator[str]:
    yield f"## {_TITLES[kind]}\n"
    yield "| Input | Exit | Outcome | Place |\n|---|---|---|---|"
    for case in CASES:
        if case.kind == kind:
            cells = (
                case.what,
                str(case.code),
                _outcome(case),
                f"`{case.at}`" if case.at and case.code else "",
            )
            yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
    yield ""


def _outcome(case: Case) -> str:
    if case.loaded is None:
        return (
            "refused: " + " ... ".join(_plain(pattern) for pattern in case.says) if case.says else "refused"
        )
    if case.code:
        return "loaded, and then " + _plain(case.says[0])
    if not case.loaded:
        return "the table is empty afterwards"
    new = len(set(case.loaded) - set(SEEDED))
    aside = len(case.set_aside)
    return f"{new} row{'s' * (new != 1)} written" + (f", {aside} set aside" if aside else "")


def _plain(pattern: str) -> str:
    """Show a regular expression as the text it stands for."""
    text = re.sub(r"\\(.)", r"\1", pattern.replace(".*", "..."))
    return text.replace("<", "&lt;").replace("{{", "{ {")


if __name__ == "__main__":
    REFERENCE.parent.mkdir(parents=True, exist_ok=True)
    REFERENCE.write_text(reference())
