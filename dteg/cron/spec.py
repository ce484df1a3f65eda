"""The file of a cron job, `cron/<name>.yaml`: the only definition of its YAML."""

from pathlib import Path

from pydantic import Field

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.project import Project
from dteg.core.retry import RetryPolicy
from dteg.core.schedules import CronText, TimezoneText
from dteg.core.yaml import read, validate, yaml_files
from dteg.cron.actions import Action, parse_action

FOLDER = "cron"
NAME_PATTERN = r"^[a-z][a-z0-9_]{0,54}$"
"""Dagster's names have no dashes, and `cron__` stands before this one."""


class CronSpec(ConfigModel):
    """One cron job, as written under the top key `cron:`."""

    name: str = Field(
        pattern=NAME_PATTERN, description="Small letters, digits and _; the name of the file without `.yaml`."
    )
    schedule: CronText = Field(description="Cron expression with five fields.")
    timezone: TimezoneText = Field("UTC", description="Time zone of the schedule.")
    enabled: bool = Field(True, description="Whether it runs. `dteg cron start` and `stop` write it.")
    action: str = Field(description="What it does, as a command without dteg: `backup my_database`.")
    description: str = Field("", description="A sentence for people.")
    tags: dict[str, str] = Field({}, description="Labels of its runs.")
    retry: RetryPolicy = Field(
        RetryPolicy(max_attempts=3, max_delay_s=300, base_delay_s=30),
        description="How transient failures of the action are tried again; a pipeline has its own.",
    )

    @property
    def parsed(self) -> Action:
        """The action."""
        return parse_action(self.action)


class CronFile(ConfigModel):
    """The whole file."""

    cron: CronSpec = Field(description="The job.")


def cron_folder(project: Project) -> Path:
    """Return where the files of a project's jobs lie."""
    return project.root / FOLDER


def cron_files(project: Project) -> list[Path]:
    """Return the files of the project's jobs, sorted by name."""
    return [path for path in yaml_files(cron_folder(project)) if path.is_file()]


def load_job(path: Path, project: Project) -> CronSpec:
    """Read and check the file of a job.

    Raises:
        ConfigError: It is not valid; with file and line.
    """
    document = read(path, project.display(path))
    spec = validate(document, CronFile).cron
    problems = []
    if path.name != f"{spec.name}.yaml":
        problems.append(
            document.problem(("cron", "name"), f"the file of this job is {FOLDER}/{spec.name}.yaml")
        )
    try:
        parse_action(spec.action)
    except ConfigError as error:
        problems += [document.problem(("cron", "action"), str(each)) for each in error.problems]
    if problems:
        raise ConfigError(problems)
    return spec
