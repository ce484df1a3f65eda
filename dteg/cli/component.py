"""`dteg component`: the standard that components keep."""

import json

import typer

app = typer.Typer(help="The component standard.", no_args_is_help=True, rich_markup_mode=None)


@app.command("schema")
def schema() -> int:
    """Print the JSON Schema of dteg.yaml, the manifest of a component."""
    from dteg.manifest import manifest_schema

    typer.echo(json.dumps(manifest_schema(), indent=2))
    return 0
