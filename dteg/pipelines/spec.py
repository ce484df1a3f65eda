"""The pipeline file: the only definition of its YAML."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from dteg.connectors.base import Disposition, SchemaPolicy
from dteg.core.config import ConfigModel, Secret
from dteg.core.durations import DurationText
from dteg.core.retry import RetryPolicy
from dteg.core.schedules import CronText, TimezoneText
from dteg.core.suggest import did_you_mean
from dteg.quality.rules import Rule, TableText


class ExtractStep(ConfigModel):
    """Where records come from."""

    type: str = Field(
        min_length=1, description="Extractor: its name, or `dteg://namespace/name` for an installed one."
    )
    config: dict[str, Any] = Field({}, description="Settings of the extractor.")


class ProcessStep(ConfigModel):
    """What happens to records on their way."""

    type: str = Field(min_length=1, description="Processor: its name, or `dteg://namespace/name`.")
    config: dict[str, Any] = Field({}, description="Settings of the processor.")


class LoadStep(ConfigModel):
    """Where records go, and what happens to rows that are there already."""

    type: str = Field(min_length=1, description="Loader: its name, or `dteg://namespace/name`.")
    config: dict[str, Any] = Field({}, description="Settings of the loader.")
    write: Disposition = Field(
        "replace", description="append, replace, merge (by key) or scd2 (by key, with history)."
    )
    primary_key: list[str] = Field([], description="Columns that identify a row; needed by merge and scd2.")
    cursor: str | None = Field(
        None, description="Column that only grows; later runs read from its greatest value on."
    )
    lookback: DurationText | Annotated[int, Field(ge=0)] | None = Field(
        None,
        description="Read this much before the saved cursor again, for late rows: `2h`, or a number for a number.",
    )
    schema_policy: SchemaPolicy = Field(
        "evolve",
        description="Changed columns: evolve the table, freeze it (refuse), or quarantine rows that do not fit.",
    )
    max_bad_rows: int = Field(0, ge=0, description="More rows than this in the dead letters undo the load.")

    @model_validator(mode="after")
    def _keys(self) -> "LoadStep":
        if self.write in ("merge", "scd2") and not self.primary_key:
            raise ValueError(f"write: {self.write} needs primary_key: [column, ...]")
        if len(set(self.primary_key)) < len(self.primary_key):
            raise ValueError("primary_key names a column twice")
        if self.lookback is not None and self.cursor is None:
            raise ValueError("lookback needs cursor: column")
        if self.lookback is not None and self.write == "append":
            raise ValueError(
                "lookback with append would load rows twice; use write: merge with a primary_key"
            )
        if self.cursor is not None and self.write == "replace":
            raise ValueError(
                "write: replace with a cursor would drop older rows; use merge or append, or remove cursor"
            )
        return self


class TransformStep(ConfigModel):
    """SQL that runs in the warehouse after the loads."""

    type: str = Field(
        min_length=1,
        description="`dbt`: models; `sql`: one file; or a transformer: its name, or `dteg://namespace/name`.",
    )
    select: str | None = Field(None, description="dbt: node selection, such as `+events`.")
    tests: bool = Field(True, description="dbt: run the tests of the selected models too.")
    file: str | None = Field(None, description="sql: file with statements, relative to the project.")
    config: dict[str, Any] = Field({}, description="Transformer: its settings.")

    @property
    def is_component(self) -> bool:
        """Whether a transformer does it."""
        return self.type not in ("dbt", "sql")

    @property
    def label(self) -> str:
        """What runs, for messages and lists."""
        if self.is_component:
            return f"transformer {self.type}"
        return f"dbt {self.select or '(all models)'}" if self.type == "dbt" else f"sql {self.file}"

    @model_validator(mode="after")
    def _one_source(self) -> "TransformStep":
        if self.type == "sql" and not self.file:
            raise ValueError("type: sql needs file: path")
        if self.type == "dbt" and self.file:
            raise ValueError("type: dbt takes select, not file")
        if self.is_component and (self.file or self.select):
            near = did_you_mean(self.type, ("dbt", "sql"))
            raise ValueError(
                f"type {self.type!r} is a transformer, which takes config, not select or file"
                + (f"; {near}" if near else "")
            )
        if self.config and not self.is_component:
            raise ValueError(f"type: {self.type} takes no config")
        return self


class Step(ConfigModel):
    """One step: exactly one of the four."""

    extract: ExtractStep | None = Field(None, description="Where records come from.")
    process: ProcessStep | None = Field(None, description="What happens to them.")
    load: LoadStep | None = Field(None, description="Where they go.")
    transform: TransformStep | None = Field(None, description="What runs in the warehouse afterwards.")

    @model_validator(mode="after")
    def _exactly_one(self) -> "Step":
        if len(self.model_fields_set) != 1:
            raise ValueError("a step is exactly one of extract, process, load, transform")
        return self


class MarketplaceComponent(ConfigModel):
    """A component that the pipeline needs from the marketplace."""

    name: str = Field(description="Name of the component.")
    version: str = Field("*", description="Range of versions, such as `^1.0.0`.")
    source: str = Field(pattern=r"^dteg://", description="`dteg://namespace/name`.")


class ComponentsSection(ConfigModel):
    """Components from outside the project."""

    marketplace: list[MarketplaceComponent] = Field([], description="Components from the marketplace.")


class SecuritySection(ConfigModel):
    """How the data is protected."""

    encryption: list[str] = Field([], description="Columns that are stored encrypted.")
    data_masking: list[str] = Field([], description="Columns that people see masked.")
    access_level: Literal["public", "internal", "confidential", "restricted"] = Field(
        "internal", description="Who may read the tables."
    )


class QualitySection(ConfigModel):
    """Rules the loaded tables must keep."""

    validation_rules: list[Rule] = Field(
        [], description="Checked after each load; errors stop what comes after."
    )


def _condition(text: str) -> str:
    from dteg.alerts.conditions import Condition  # few pipelines have one

    Condition.parse(text)
    return text


class Alert(ConfigModel):
    """Who hears of what."""

    type: Literal["slack", "email", "webhook"] = Field(
        description="Way to people; `slack` and `email` are channels of these names in `alerts.yaml`."
    )
    channel: str | None = Field(None, min_length=1, description="slack: the room, such as `#data`.")
    recipients: list[str] = Field([], description="email: the addresses.")
    url: Secret | None = Field(None, description="webhook: `secret://` reference to the URL.")
    on: Literal["failure", "success", "always"] | None = Field(
        None, description="Result that is told; `failure` if nothing is said."
    )
    when: Annotated[str, AfterValidator(_condition)] | None = Field(
        None, description="Condition, such as `rows_loaded > 1000`."
    )

    @model_validator(mode="after")
    def _fits_type(self) -> "Alert":
        own = {"slack": "channel", "email": "recipients", "webhook": "url"}
        for kind, key in own.items():
            if kind != self.type and getattr(self, key):
                raise ValueError(f"type: {self.type} takes {own[self.type]}, not {key}")
        if self.type == "webhook" and self.url is None:
            raise ValueError("type: webhook needs url: secret://env/NAME")
        if self.type == "email" and not self.recipients:
            raise ValueError("type: email needs recipients: [somebody@example.org]")
        if wrong := [each for each in self.recipients if each.count("@") != 1 or "," in each]:
            raise ValueError(f"recipients: {wrong[0]!r} is not an e-mail address")
        return self


class MonitoringSection(ConfigModel):
    """Who is told."""

    alerts: list[Alert] = Field([], description="Alerts.")


class WatchSection(ConfigModel):
    """Run when the source has changed, or the form of a table."""

    every_s: int = Field(60, ge=5, le=86_400, description="Seconds between two looks at the source.")
    schema_changes: list[TableText] = Field(
        [],
        description="Run after somebody changed one of these tables, such as `raw.flights`. The source is then "
        "looked at only if `every_s` is given too.",
    )

    @property
    def looks_at_source(self) -> bool:
        """Whether the source is looked at."""
        return not self.schema_changes or "every_s" in self.model_fields_set


class FreshnessSection(ConfigModel):
    """How old the tables may get."""

    max_age: DurationText = Field(description="Older than this is a failure, such as `26h`.")
    warn_age: DurationText | None = Field(None, description="Older than this is a warning.")


def _one_or_many(value: object) -> object:
    return [value] if isinstance(value, dict) else value


class PipelineSpec(ConfigModel):
    """One pipeline, as written under the top key `pipeline:`."""

    name: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Small letters, digits and _; unique in the project."
    )
    description: str = Field("", description="A sentence for people.")
    schedule: CronText | None = Field(None, description="Cron expression with five fields.")
    timezone: TimezoneText = Field("UTC", description="Time zone of the schedule.")
    enabled: bool = Field(False, description="Whether the schedule and the watch run from the start.")
    owners: list[str] = Field([], description="E-mail addresses or `team:name`.")
    tags: dict[str, str] = Field({}, description="Labels.")
    params: dict[str, str | int | float | bool | None] = Field(
        {}, description="Parameters with their defaults."
    )
    depends_on: list[TableText] = Field(
        [], description="Tables that must be there first, such as `raw.flights`."
    )
    components: ComponentsSection = Field(ComponentsSection(), description="Components from outside.")
    security: SecuritySection = Field(SecuritySection(), description="Protection of the data.")
    quality: QualitySection = Field(QualitySection(), description="Rules.")
    steps: list[Step] = Field([], description="The steps, in order.")
    extract: ExtractStep | None = Field(None, description="Short form: the one source.")
    process: Annotated[list[ProcessStep], BeforeValidator(_one_or_many)] = Field(
        [], description="Short form."
    )
    load: LoadStep | None = Field(None, description="Short form: the one target.")
    transform: Annotated[list[TransformStep], BeforeValidator(_one_or_many)] = Field(
        [], description="Short form."
    )
    monitoring: MonitoringSection = Field(MonitoringSection(), description="Alerts.")
    retry: RetryPolicy = Field(RetryPolicy(), description="How transient failures are tried again.")
    watch: WatchSection | None = Field(None, description="Run when the source has changed.")
    freshness: FreshnessSection | None = Field(None, description="How old the tables may get.")

    @model_validator(mode="after")
    def _steps(self) -> "PipelineSpec":
        short = bool(self.extract or self.process or self.load or self.transform)
        if short and self.steps:
            raise ValueError("use either steps: or extract/process/load/transform, not both")
        if not short and not self.steps:
            raise ValueError("a pipeline needs steps: with at least an extract and a load, or a transform")
        _check_order(list(self.ordered_steps()))
        return self

    def ordered_steps(self) -> Iterator[Step]:
        """Yield the steps in order, from whichever form the file uses."""
        if self.steps:
            yield from self.steps
            return
        if self.extract:
            yield Step(extract=self.extract)
        for process in self.process:
            yield Step(process=process)
        if self.load:
            yield Step(load=self.load)
        for transform in self.transform:
            yield Step(transform=transform)

    def unavailable(self) -> list[str]:
        """Name the parts of the file that are valid, but that this version does not run."""
        parts = []
        if self.security.encryption:
            parts.append("security.encryption")
        if self.security.data_masking:
            parts.append("security.data_masking")
        if self.security.access_level != "internal":
            parts.append(f"security.access_level: {self.security.access_level}")
        return parts


def _check_order(steps: list[Step]) -> None:
    """Check that each extract ends in a load and that transforms come last."""
    open_since: int | None = None
    transformed = False
    for number, step in enumerate(steps):
        if transformed and not step.transform:
            raise ValueError(f"steps[{number}]: transforms come after all loads")
        if step.extract:
            if open_since is not None:
                raise ValueError(f"steps[{number}]: the extract in steps[{open_since}] has no load yet")
            open_since = number
        elif step.process and open_since is None:
            raise ValueError(f"steps[{number}]: a process step needs an extract before it")
        elif step.load:
            if open_since is None:
                raise ValueError(f"steps[{number}]: a load step needs an extract before it")
            open_since = None
        elif step.transform:
            transformed = True
    if open_since is not None:
        raise ValueError(f"steps[{open_since}]: this extract has no load")


class PipelineFile(ConfigModel):
    """The whole file."""

    pipeline: PipelineSpec = Field(description="The pipeline.")
