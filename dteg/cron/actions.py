"""What a cron job does, written as a command without `dteg` in front: `backup my_database --encrypt`."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.identifiers import check_identifier
from dteg.core.secrets import redact
from dteg.core.suggest import did_you_mean
from dteg.pruning.models import AgeText


class BackupAction(ConfigModel):
    """Back up a database."""

    kind: Literal["backup"] = "backup"
    database: str = Field(description="Name of the database.")
    to: str = Field("", description="Where backups go; default: the project's own place.")
    encrypt: bool = Field(False, description="Whether the backup is encrypted.")

    @field_validator("database")
    @classmethod
    def _no_password(cls, value: str) -> str:
        if "://" in value and not value.startswith("secret://"):
            raise ValueError(
                "name a URL as a secret reference such as secret://env/NAME: the file would show its password"
            )
        try:
            return value if "://" in value else check_identifier(value, "database")
        except ConfigError as error:
            raise ValueError(str(error)) from None

    @property
    def label(self) -> str:
        """What the database is called in lists: of a secret reference its last part."""
        return self.database.rsplit("/", 1)[-1]

    def words(self) -> list[str]:
        """Return the action as it is written."""
        to = ["--to", self.to] if self.to else []
        return ["backup", self.database, *to, *(["--encrypt"] if self.encrypt else [])]


class RunPipelineAction(ConfigModel):
    """Run a pipeline."""

    kind: Literal["run_pipeline"] = "run_pipeline"
    pipeline: str = Field(description="Name of the pipeline.")

    def words(self) -> list[str]:
        """Return the action as it is written."""
        return ["run", "pipeline", self.pipeline]


class RefreshDatasetAction(ConfigModel):
    """Refresh a dataset."""

    kind: Literal["refresh_dataset"] = "refresh_dataset"
    dataset: str = Field(description="Name of the dataset.")

    def words(self) -> list[str]:
        """Return the action as it is written."""
        return ["refresh", "dataset", self.dataset]


class MetadataAction(ConfigModel):
    """Collect metadata."""

    kind: Literal["metadata"] = "metadata"
    name: str = Field(description="Name of the source.")

    def words(self) -> list[str]:
        """Return the action as it is written."""
        return ["metadata", self.name]


class PruneAction(ConfigModel):
    """Remove old runs, ticks and events from Dagster's storage."""

    kind: Literal["prune"] = "prune"
    older_than: AgeText = Field("30d", description="What is older goes.")

    def words(self) -> list[str]:
        """Return the action as it is written."""
        return ["prune", "--older-than", self.older_than]


class VerifyBackupsAction(ConfigModel):
    """Restore the newest backup of each database into a database of its own, compare, and drop that."""

    kind: Literal["verify_backups"] = "verify_backups"

    def words(self) -> list[str]:
        """Return the action as it is written."""
        return ["verify", "backups"]


Action = Annotated[
    BackupAction
    | RunPipelineAction
    | RefreshDatasetAction
    | MetadataAction
    | PruneAction
    | VerifyBackupsAction,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of action as it is written.

    Attributes:
        words: What it begins with.
        argument: What follows, such as `DATABASE`; empty if nothing does.
        options: Its options: name -> metavar, empty for a flag.
        make: Makes the action of the argument and the options.
        help: A sentence for people.
    """

    words: tuple[str, ...]
    argument: str
    options: Mapping[str, str]
    make: Callable[[str, Mapping[str, str]], Action]
    help: str

    @property
    def usage(self) -> str:
        """How it is written."""
        options = [f"[{name} {value}]" if value else f"[{name}]" for name, value in self.options.items()]
        return " ".join([*self.words, *([self.argument] if self.argument else []), *options])


FORMS = (
    Form(
        ("backup",),
        "DATABASE",
        {"--to": "URI", "--encrypt": ""},
        lambda name, given: BackupAction(
            database=name, to=given.get("--to", ""), encrypt="--encrypt" in given
        ),
        "Back up a database.",
    ),
    Form(
        ("run", "pipeline"), "NAME", {}, lambda name, _: RunPipelineAction(pipeline=name), "Run a pipeline."
    ),
    Form(
        ("verify", "backups"),
        "",
        {},
        lambda name, _: VerifyBackupsAction(),
        "Restore each newest backup and compare.",
    ),
    Form(
        ("prune",),
        "",
        {"--older-than": "AGE"},
        lambda name, given: PruneAction(older_than=given.get("--older-than", "30d")),
        "Remove old runs, ticks and events of Dagster.",
    ),
    Form(
        ("refresh", "dataset"),
        "NAME",
        {},
        lambda name, _: RefreshDatasetAction(dataset=name),
        "Refresh a dataset.",
    ),
    Form(("metadata",), "NAME", {}, lambda name, _: MetadataAction(name=name), "Collect metadata."),
)
"""All kinds of actions."""


def parse_action(action: str | Sequence[str]) -> Action:
    """Read an action.

    Args:
        action: As one text, or word by word.

    Raises:
        ConfigError: There is no such action, or its argument or options are wrong.
    """
    words = _split(action) if isinstance(action, str) else list(action)
    for form in FORMS:
        if tuple(words[: len(form.words)]) == form.words:
            return _read(form, words[len(form.words) :])
    near = did_you_mean(" ".join(words[:2]), [" ".join(form.words) for form in FORMS])
    begun = [form for form in FORMS if form.words[:1] == tuple(words[:1])]
    known = "; ".join(form.usage for form in begun or FORMS)
    what = (
        f"{redact(' '.join(words))!r} is no action of a cron job" if words else "a cron job needs an action"
    )
    raise ConfigError(f"{what}; {near + ' ' if near else ''}write {'' if begun else 'one of: '}{known}")


def action_text(action: Action) -> str:
    """Return an action as one text, which `parse_action` reads."""
    return shlex.join(action.words())


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} cannot be split into words: {error}") from None


def _read(form: Form, rest: Sequence[str]) -> Action:
    """Read what follows the words of a form."""
    options: dict[str, str] = {}
    arguments: list[str] = []
    words = iter(rest)
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("--"):
            arguments.append(word)
        elif name not in form.options or (equals and not form.options[name]):
            near = did_you_mean(name, form.options)
            raise ConfigError(f"unknown option {word} of {form.words[0]!r}; {near or f'write {form.usage}'}")
        elif form.options[name]:
            options[name] = value if equals else next(words, "")
            if not options[name]:
                raise ConfigError(f"{name} needs a value: {form.usage}")
        else:
            options[name] = ""
    wanted = 1 if form.argument else 0
    if len(arguments) != wanted or any(not argument.strip() for argument in arguments):
        raise ConfigError(f"write {form.usage}, not {redact(shlex.join([*form.words, *rest]))!r}")
    try:
        return form.make(arguments[0] if arguments else "", options)
    except ValidationError as error:
        message = error.errors(include_url=False, include_input=False)[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"{form.usage}: {message}") from None
