"""`dteg metadata ask`: a question in words, answered with SQL that was proved."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, client_for
from dteg.cli.transfers import print_table

if TYPE_CHECKING:
    from dteg.metadata.ask import Answer, Asker
    from dteg.metadata.remote import RemoteAsker
    from dteg.metadata.reports import Verdict


def ask(
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="In words, in any language.")],
    *,
    run: Annotated[bool, typer.Option("--run", help="Run the SQL too, read-only and within limits.")] = False,
    source: Annotated[str, typer.Option(help="Whose cache.")] = "warehouse",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Answer a question with SQL over the tables of the cache: shown and planned, and run only with --run."""
    asker = _asker(url, source)
    answer = asker.ask(question, run=run and as_json)
    if as_json:
        print(answer.model_dump_json())
        return 0 if answer.sql else 1
    _print(answer)
    if run and answer.sql and not answer.why:
        sys.stdout.flush()  # it is seen before it runs
        return _run(asker.check(answer.sql, run=True))
    return 0 if answer.sql else 1


def _asker(url: str, source: str) -> "Asker | RemoteAsker":
    if url:
        from dteg.metadata.remote import RemoteAsker

        return RemoteAsker(client_for(url), source)
    from dteg.core.project import Project
    from dteg.metadata.ask import Asker

    return Asker.of(Project.find(), source)


def _print(answer: "Answer") -> None:
    if answer.why:
        print(f"No SQL for this question: {_shown(answer.why)}.", file=sys.stderr)
    if not answer.sql:
        print(f"Tables that fit best: {', '.join(answer.near_tables)}", file=sys.stderr)
        return
    print(_shown(answer.explanation))
    print()
    print("\n".join(map(_shown, answer.laid_out.splitlines())))
    print()
    print(f"Reads {', '.join(answer.tables) or 'no table'}; the server can run it.")
    if answer.stale:
        print("The cache may be out of date: dteg metadata collect", file=sys.stderr)


def _run(verdict: "Verdict") -> int:
    if verdict.status != "valid":
        print(f"It did not run: {_shown(verdict.why)}", file=sys.stderr)
        return 1
    print()
    rows = [[_shown("NULL" if value is None else value) for value in row] for row in verdict.rows]
    print_table(verdict.columns, rows)
    more = "; there are more" if verdict.truncated else ""
    print(f"{verdict.row_count} rows in {verdict.runtime_ms or 0:.0f} ms{more}", file=sys.stderr)
    return 0


def _shown(text: str) -> str:
    """Return a text without what a terminal would act on: values and comments come from anybody."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
