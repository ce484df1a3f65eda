"""What runs in the warehouse after the loads: dbt models, a file of SQL, or the SQL of a transformer."""

import contextlib
import importlib
import os
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from dteg.connectors.base import Context, Transformer
from dteg.core.errors import ConfigError, EnvironmentProblemError, MissingExtraError
from dteg.core.project import Project
from dteg.core.secrets import redact
from dteg.pipelines.listener import Listener
from dteg.pipelines.plan import Pipeline, step_paths
from dteg.pipelines.results import TransformResult
from dteg.pipelines.spec import TransformStep


def run_transform(pipeline: Pipeline, step: TransformStep, listener: Listener) -> TransformResult:
    """Run one transform step.

    Raises:
        ConfigError: The dbt project or the SQL file is not there or not valid.
        PermanentError: A statement failed; none of the file, or of the transformer, took effect.
    """
    listener.transform_started(step.label)
    if step.type == "dbt":
        result = _run_dbt(pipeline.project, step, step.label)
    elif step.type == "sql":
        result = _run_sql(pipeline.project, _sql_text(step, pipeline.project), str(step.file), step.label)
    else:
        result = _run_sql(pipeline.project, _transformer(pipeline, step).sql(), step.label, step.label)
    listener.transform_finished(result)
    return result


def require_sources(pipeline: Pipeline) -> None:
    """Check, before anything is loaded, that each transform has its SQL file or its dbt project.

    Raises:
        ConfigError: One is not there or cannot be read.
    """
    steps = zip(step_paths(pipeline.spec), pipeline.spec.ordered_steps(), strict=True)
    for path, step in ((path, each.transform) for path, each in steps if each.transform):
        with pipeline.naming_file(path):
            if step.type == "sql":
                _sql_text(step, pipeline.project)
            elif step.is_component:
                _transformer(pipeline, step).sql()
            else:
                _require_dbt_project(pipeline.project)


def dbt_environment(project: Project) -> dict[str, str]:
    """Return the environment variables that `dbt_project/profiles.yml` reads, for the project's warehouse."""
    from psycopg.conninfo import conninfo_to_dict

    parts: Mapping[str, Any] = conninfo_to_dict(project.warehouse_url())
    return {
        "DTEG_PG_HOST": str(parts.get("host") or "localhost"),
        "DTEG_PG_PORT": str(parts.get("port") or 5432),
        "DTEG_PG_USER": str(parts.get("user") or "postgres"),
        "DTEG_PG_PASSWORD": str(parts.get("password") or ""),
        "DTEG_PG_DATABASE": str(parts.get("dbname") or "postgres"),
        "DBT_PROFILES_DIR": str(project.dbt_dir),
        "DBT_TARGET_PATH": str(project.state_dir / "dbt" / "target"),
        "DBT_LOG_PATH": str(project.state_dir / "dbt" / "logs"),
    }


def preload(steps: Sequence[TransformStep]) -> None:
    """Begin to import dbt in the background, if a step needs it: that takes seconds, while a load mostly waits."""
    if any(step.type == "dbt" for step in steps):
        threading.Thread(target=_import_quietly, daemon=True).start()


def _import_quietly() -> None:
    with contextlib.suppress(MissingExtraError):  # the step itself will say it
        _import_dbt()


def _import_dbt() -> Any:
    try:
        importlib.import_module("dbt.adapters.postgres")
        return importlib.import_module("dbt.cli.main")
    except ImportError:
        raise MissingExtraError("dbt", "transform: dbt") from None


def _run_dbt(project: Project, step: TransformStep, name: str) -> TransformResult:
    _require_dbt_project(project)
    started = time.perf_counter()
    os.environ.update(dbt_environment(project))  # dbt runs in this process: its start costs seconds otherwise
    dbt = _import_dbt()
    startup_s = time.perf_counter() - started
    # dbt's own lines are silenced: what failed comes back in the result, and all of it stands in dbt's log file.
    arguments = [
        "--log-level",
        "none",
        "build" if step.tests else "run",
        "--project-dir",
        str(project.dbt_dir),
    ]
    outcome = dbt.dbtRunner().invoke([*arguments, *(["--select", step.select] if step.select else [])])
    if outcome.exception is not None:
        raise EnvironmentProblemError(f"{name}: {redact(str(outcome.exception))}") from outcome.exception
    results = list(getattr(outcome.result, "results", None) or [])
    tests = [each for each in results if each.node.resource_type in ("test", "unit_test")]
    bad = [each for each in results if str(each.status) in ("error", "fail", "runtime error", "skipped")]
    return TransformResult(
        name,
        models=sum(each.node.resource_type == "model" and each not in bad for each in results),
        tests_passed=sum(each not in bad for each in tests),
        tests_failed=sum(each in bad and str(each.status) != "skipped" for each in tests),
        seconds=time.perf_counter() - started,
        startup_s=startup_s,
        messages=[_failure(each) for each in bad if str(each.status) != "skipped"] + _skipped(bad),
    )


def _require_dbt_project(project: Project) -> None:
    if not (project.dbt_dir / "dbt_project.yml").is_file():
        raise ConfigError(f"transform: dbt needs a dbt project in {project.dbt_dir.name}/")


def _failure(result: Any) -> str:
    lines = [line.strip() for line in redact(result.message or "").splitlines() if line.strip()]
    # The first line of a database error only repeats the model's name.
    cause = lines[1] if len(lines) > 1 and lines[0].startswith("Database Error in") else "".join(lines[:1])
    return f"{result.node.resource_type} {result.node.name} ({result.node.original_file_path}): {cause}"


def _skipped(bad: list[Any]) -> list[str]:
    count = sum(str(each.status) == "skipped" for each in bad)
    return [f"{count} models and tests that depend on these were skipped"] if count else []


def _transformer(pipeline: Pipeline, step: TransformStep) -> Transformer[Any]:
    place = next(number for number, each in enumerate(pipeline.transforms) if each is step)
    transformer: Transformer[Any] = pipeline.transformers[place].create(Context(pipeline.project))
    return transformer


def _run_sql(project: Project, text: str, source: str, name: str) -> TransformResult:
    import psycopg

    from dteg.core.postgres import connect, translate

    started = time.perf_counter()
    with connect(project.warehouse_url()) as connection:
        try:
            with connection.transaction():
                connection.execute(text.encode())  # a string would be searched for placeholders
        except psycopg.Error as error:
            ours = translate(error, "sql")
            position = error.diag.statement_position
            line = f":{text[: int(position) - 1].count(chr(10)) + 1}" if position else ""
            raise type(ours)(f"{source}{line}: {ours}") from error
    return TransformResult(name, models=1, seconds=time.perf_counter() - started)


def _sql_text(step: TransformStep, project: Project) -> str:
    path = project.root / str(step.file)
    try:
        if not path.resolve().is_relative_to(project.root):
            raise ConfigError(f"transform: sql file {step.file} lies outside the project")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"transform: sql file {step.file} cannot be read: {error.strerror}") from None
    except ValueError as error:  # not UTF-8, or a NUL character in the name
        raise ConfigError(f"transform: sql file {step.file!r} cannot be read: {error}") from None
