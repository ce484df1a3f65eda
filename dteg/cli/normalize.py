"""`dteg normalize`: a flat file taken apart into tables, with a proof."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from dteg.cli.studio import AsJson, StudioUrl, service
from dteg.cli.tables import Set, Types
from dteg.cli.transfers import print_table

if TYPE_CHECKING:
    from dteg.normalize.service import NormalizeRequest, NormalizeResult

_MAX_REFUSED = 8


def normalize(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file or a URL.")],
    format_: Annotated[
        str,
        typer.Argument(
            metavar="[FORMAT]", help="csv, tsv, json, jsonl, xlsx or parquet; default: from the name."
        ),
    ] = "",
    *,
    into: Annotated[
        str, typer.Option(metavar="SCHEMA", help="Load the tables into this schema of the warehouse.")
    ] = "",
    replace: Annotated[
        bool, typer.Option("--replace", help="Exchange the tables that an earlier run made in SCHEMA.")
    ] = False,
    out: Annotated[
        str, typer.Option(metavar="DIR", help="Write tables, DDL, dbt models, diagram and report.")
    ] = "",
    bcnf: Annotated[
        bool, typer.Option("--bcnf", help="Boyce-Codd normal form instead of the third.")
    ] = False,
    lists: Annotated[
        str,
        typer.Option(
            help="Lists that become tables: sure, all (any commas and numbered columns too) or none."
        ),
    ] = "sure",
    determinants: Annotated[
        int, typer.Option(min=1, max=3, help="Most columns that together identify a thing.")
    ] = 2,
    model: Annotated[
        bool,
        typer.Option(
            "--model", help="Let the configured model choose and name tables among what was measured."
        ),
    ] = False,
    share_values: Annotated[
        bool, typer.Option("--share-values", help="Let the model see values; else only their shape.")
    ] = False,
    tables: Annotated[str, typer.Option(metavar="csv|parquet", help="Format of the tables in DIR.")] = "csv",
    name: Annotated[
        str, typer.Option(help="What the table of the rows is called; default: as the file.")
    ] = "",
    types: Types = "",
    settings: Set = None,
    why: Annotated[
        bool, typer.Option("--why", help="Say also which dependencies made no table, and why.")
    ] = False,
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Take a flat file apart into tables in third normal form: proved on all rows, or nothing is written."""
    from dteg.normalize.remote import RemoteNormalizer
    from dteg.normalize.service import Normalizer
    from dteg.tables.requests import settings_in, types_in

    request = _request(
        format=format_ or None,
        form="BCNF" if bcnf else "3NF",
        lists=lists,
        into=into,
        replace=replace,
        out=out,
        table_format=tables,
        determinants=determinants,
        ask_model=model,
        share_values=share_values,
        name=name,
        types=types_in(types),
        options=settings_in(settings or []),
    )
    result = service(Normalizer, RemoteNormalizer, url).run(
        request, file, _say if sys.stderr.isatty() else lambda step: None
    )
    if as_json:
        print(result.model_dump_json())
        return 0
    _print(result, why=why)
    return 0


def _request(**values: object) -> "NormalizeRequest":
    from dteg.normalize.service import NormalizeRequest
    from dteg.tables.requests import checked

    return checked(NormalizeRequest, **values)


def _say(step: str) -> None:
    print(f"{step} ...", file=sys.stderr)


def _print(result: "NormalizeResult", *, why: bool) -> None:
    from dteg.normalize.decompose import exceptions_name

    plan, proof = result.plan, result.proof
    if plan.is_normal_already:
        print(f"{plan.root.name} is in {plan.form} already: nothing to take apart.")
    rows = [
        (table.name, f"{table.rows:,}", ", ".join(table.primary_key), ", ".join(table.columns))
        for table in plan.tables
    ]
    print_table(("TABLE", "ROWS", "KEY", "COLUMNS"), rows)
    print()
    saved = 100 * (1 - proof.cells_after / proof.cells_before)
    print(
        f"Proved on {proof.rows:,} rows: joined again they are the file ({proof.hash_after[-16:]}); keys and references hold."
    )
    if proof.exceptions:
        print(
            f"{proof.exceptions:,} values differ from what their group has: kept in {exceptions_name(plan)}."
        )
    change = f"{saved:.0f} % fewer" if saved >= 0 else f"{-saved:.0f} % more, as a key stands with each item"
    print(f"{proof.cells_before:,} values became {proof.cells_after:,} ({change}).")
    for note in plan.notes:
        print(f"Note: {note}.")
    if why:
        refused = sorted(
            plan.refused, key=lambda each: (len(each.dependency.determinant), -each.dependency.support)
        )
        for each in refused[:_MAX_REFUSED]:
            found = each.dependency
            print(
                f"No table for ({', '.join(found.determinant)}) -> {', '.join(found.dependent)}: {each.why}."
            )
    if result.into:
        print(f"Loaded into {result.into}; {result.into}.{plan.root.name}_flat is the file again.")
    if result.out:
        print(f"Written to {result.out}: {len(result.files)} files and the report.")
    if not result.into and not result.out:
        print("Nothing was written: add --into SCHEMA or --out DIR.")
