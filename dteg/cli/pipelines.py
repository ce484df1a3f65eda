"""`dteg run` and `dteg pipeline ...`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from dteg.alerts.runs import Told
    from dteg.core.project import Project
    from dteg.pipelines.plan import Pipeline

app = typer.Typer(help="Check, list and explain pipeline files.", no_args_is_help=True)

FileOrName = Annotated[
    str, typer.Argument(metavar="FILE|NAME", help="A pipeline file, or its name in pipelines/.")
]


def run(
    pipeline: FileOrName,
    param: Annotated[
        list[str], typer.Option("--param", "-p", metavar="NAME=VALUE", help="Set a parameter.")
    ] = [],  # noqa: B006
    full_refresh: Annotated[
        bool,
        typer.Option(
            "--full-refresh",
            help="Forget saved positions and replace what is in the tables, the history of scd2 included.",
        ),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON on standard output.")
    ] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say which way each stream would go, and why; change nothing.")
    ] = False,
) -> int:
    """Run a pipeline in this process: extract, process, load, check, transform."""
    from dteg.cli.progress import print_result, progress_display
    from dteg.core.project import Project
    from dteg.pipelines.plan import find_pipeline_file, load_pipeline
    from dteg.pipelines.runner import explain_pipeline, new_run_id, run_pipeline

    project = _project_of(pipeline) or Project.find()
    run_id = new_run_id()
    loaded = load_pipeline(find_pipeline_file(pipeline, project), project, parse_params(param), run_id)
    if explain:
        print(*explain_pipeline(loaded), sep="\n")
        return 0
    with _telling(loaded, run_id) as told:
        with progress_display(quiet=as_json) as progress:
            listener = told.listener(progress) if told else progress
            result = run_pipeline(loaded, run_id=run_id, full_refresh=full_refresh, listener=listener)
        if told:
            told.result = result
        if as_json:
            print(json.dumps(result.to_json(), default=str), flush=True)
        else:
            print_result(result)
    return 0 if result.succeeded else 1


@app.command("validate")
def validate(
    files: Annotated[
        list[str], typer.Argument(metavar="[FILE|NAME]...", help="Default: all of pipelines/.")
    ] = [],  # noqa: B006
) -> int:
    """Check pipeline files without connecting to anything."""
    from dteg.core.errors import ConfigError
    from dteg.core.project import Project
    from dteg.pipelines.plan import find_pipeline_file, load_pipeline, pipeline_files
    from dteg.pipelines.transforms import require_sources

    project = (_project_of(files[0]) if files else None) or Project.find()
    paths = [find_pipeline_file(each, project) for each in files] or list(pipeline_files(project))
    if not paths:
        raise ConfigError(f"there are no pipeline files in {project.pipelines_dir}")
    failures = 0
    names: dict[str, str] = {}
    for path in paths:
        try:
            pipeline = load_pipeline(path, project)
            require_sources(pipeline)
            name = pipeline.name
            if name in names:
                raise ConfigError(f"{project.display(path)}: the name {name!r} is taken by {names[name]}")
            names[name] = project.display(path)
            typer.echo(f"ok       {project.display(path)}")
        except ConfigError as error:
            failures += 1
            typer.echo(f"error    {project.display(path)}\n{_indented(str(error))}", err=True)
    return 2 if failures else 0


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """List the project's pipelines with their schedules and targets."""
    from dteg.core.errors import ConfigError
    from dteg.core.project import Project
    from dteg.pipelines.plan import load_pipeline, pipeline_files

    project = Project.find()
    rows: list[dict[str, Any]] = []
    for path in pipeline_files(project):
        try:
            rows.append(_summary(load_pipeline(path, project)))
        except ConfigError as error:
            rows.append({"name": path.stem, "error": str(error)})
    if as_json:
        print(json.dumps(rows))
        return 0
    if not rows:
        typer.echo(f"no pipelines yet; write one to {project.pipelines_dir.name}/NAME.yaml", err=True)
    for row in rows:
        if "error" in row:
            print(f"{row['name']:<24} broken: {row['error'].splitlines()[0]}")
        else:
            print(
                f"{row['name']:<24} {row['schedule'] or '-':<14} -> {', '.join(row['targets']) or '(transforms only)'}"
            )
    return 0


@app.command("show")
def show(
    pipeline: FileOrName, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False
) -> int:
    """Show what a pipeline does, step by step."""
    from dteg.core.project import Project
    from dteg.pipelines.plan import find_pipeline_file, load_pipeline

    project = _project_of(pipeline) or Project.find()
    loaded = load_pipeline(find_pipeline_file(pipeline, project), project)
    if as_json:
        print(
            json.dumps({**_summary(loaded), "spec": loaded.spec.model_dump(mode="json", exclude_unset=True)})
        )
        return 0
    spec = loaded.spec
    print(f"{spec.name}: {spec.description or '(no description)'}")
    print(f"  file      {loaded.file}")
    print(f"  schedule  {f'{spec.schedule} {spec.timezone}' if spec.schedule else '-'}")
    for flow in loaded.flows:
        chain = [flow.extractor, *flow.processors, flow.loader]
        print("  flow      " + " -> ".join(part.component.manifest.name for part in chain))
        key = f" by {', '.join(flow.load.primary_key)}" if flow.load.primary_key else ""
        for target in flow.targets().values():
            print(f"              {flow.load.write}{key} into {target}")
            for name, rule in loaded.rules_for(target):
                print(f"              check {name} ({rule.severity})")
    for transform in spec.ordered_steps():
        if transform.transform:
            print(
                f"  transform {transform.transform.type} {transform.transform.select or transform.transform.file or ''}"
            )
    return 0


@app.command("schema")
def schema() -> int:
    """Print the JSON Schema of pipeline files, for editors."""
    from dteg.pipelines.spec import PipelineFile

    print(json.dumps(PipelineFile.model_json_schema(), indent=2))
    return 0


def parse_params(pairs: list[str]) -> dict[str, str]:
    """Read `name=value` pairs.

    Raises:
        ConfigError: No `=`.
    """
    from dteg.core.errors import ConfigError

    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise ConfigError(f"--param {wrong[0]}: write NAME=VALUE")
    return dict(pair.split("=", 1) for pair in pairs)


def _telling(pipeline: "Pipeline", run_id: str) -> "AbstractContextManager[Told | None]":
    """Return what tells of the run to whom the project's alerts name; a project without alerts pays nothing for them."""
    if not pipeline.spec.monitoring.alerts and not (pipeline.project.root / "alerts.yaml").exists():
        from contextlib import nullcontext

        return nullcontext()
    from dteg.alerts.runs import telling

    return telling(pipeline, run_id)


def _project_of(file_or_name: str) -> "Project | None":
    """Return the project a given file belongs to; None for a name or a file outside any project."""
    from dteg.core.errors import EnvironmentProblemError
    from dteg.core.project import Project

    path = Path(file_or_name)
    if not path.is_file():
        return None
    try:
        return Project.find(path.resolve().parent)
    except EnvironmentProblemError:
        return None


def _summary(pipeline: "Pipeline") -> dict[str, Any]:
    return {
        "name": pipeline.name,
        "file": pipeline.file,
        "description": pipeline.spec.description,
        "schedule": pipeline.spec.schedule,
        "targets": [str(target) for target in pipeline.targets()],
    }


def _indented(text: str) -> str:
    return "\n".join("         " + line for line in text.splitlines())
