"""What people say of a source, checked; kept in the warehouse with what is secret sealed; and taken out again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from pydantic import SecretStr, ValidationError

from dteg.core.config import ConfigModel
from dteg.core.control import session
from dteg.core.errors import ConfigError, EnvironmentProblemError, Problem
from dteg.core.project import Project
from dteg.core.secrets import redact, resolve
from dteg.sources import store
from dteg.sources.fdw import FdwLinker
from dteg.sources.kinds import Link, SourceKind, kind_of
from dteg.sources.models import Mode, NewSource, Source
from dteg.sources.reaching import require_relay
from dteg.sources.vault import Vault

URL = "url"
_REFERENCE = "secret://"

Connection = psycopg.Connection[Any]


@dataclass(frozen=True)
class Secrets:
    """What is secret of a source, by name: `url`, and options.

    Attributes:
        values: References or the texts themselves.
    """

    values: Mapping[str, str]

    def __repr__(self) -> str:
        """Show the names only."""
        return f"Secrets({', '.join(self.values)})"

    @property
    def url(self) -> str:
        """The URL to connect with.

        Raises:
            ConfigError: It is a reference to nothing.
        """
        text = self.values.get(URL, "")
        return resolve(text) if text.startswith(_REFERENCE) else text


class Definitions:
    """Reads, keeps and opens what defines the sources of one project.

    Args:
        project: Whose.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._vault = Vault()

    def read(self, new: NewSource, known: Source | None) -> tuple[Link, Source, Secrets]:
        """Check a source to be added or changed.

        Args:
            new: What was said.
            known: The source of that name; its secrets stay where none are given.

        Raises:
            ConfigError: The URL or an option is wrong.
            EnvironmentProblemError: The warehouse lacks what is needed.
        """
        kind = kind_of(new.kind)
        given = {URL: new.url.get_secret_value()} if new.url.get_secret_value() else {}
        old = self._old(known) if known and known.kind is new.kind else {}
        hidden = secret_options(kind)
        options = checked_options(
            kind, {**{name: old[name] for name in hidden if name in old}, **new.options}
        )
        secrets = Secrets({**old, **given, **_revealed(options, hidden)})
        if kind.url and not secrets.values.get(URL):
            raise ConfigError([Problem(f"a source of this kind needs a URL, such as {kind.url}", path=URL)])
        mode, link = self._mode(kind, new, secrets, options)
        source = Source(
            slug=new.slug, kind=new.kind, mode=mode, title=new.title, address=_address(kind, link, secrets),
            options=options.model_dump(mode="json", exclude_unset=True, exclude=hidden), patterns=list(new.tables),
        )  # fmt: skip
        return link, source, secrets

    def save(self, connection: Connection, source: Source, secrets: Secrets) -> None:
        """Keep a source, its secrets sealed."""
        sealed, key_id = self._vault.seal(source.slug, secrets.values)
        store.save(connection, source, sealed, key_id)

    def link(self, connection: Connection, source: Source, *, secret: bool = True) -> Link:
        """Return how a source is reached.

        Args:
            connection: To the warehouse.
            source: Which.
            secret: Open its secrets; without them it can only be taken away.

        Raises:
            ConfigError: The key of the secrets is not here.
        """
        kind = kind_of(source.kind)
        values = self._vault.open(source.slug, *store.sealed(connection, source.slug)) if secret else {}
        hidden = {name: value for name, value in values.items() if name != URL}
        options = checked_options(kind, {**source.options, **hidden}) if secret else None
        return Link(
            project=self._project, slug=source.slug, kind=source.kind, mode=source.mode, url=Secrets(values).url,
            options=options, patterns=source.patterns,
        )  # fmt: skip

    def _old(self, known: Source) -> dict[str, str]:
        with session(self._project, "sources") as connection:
            try:
                return self._vault.open(known.slug, *store.sealed(connection, known.slug))
            except ConfigError:  # the key is lost: then everything has to be given anew
                return {}

    def _mode(
        self, kind: SourceKind, new: NewSource, secrets: Secrets, options: ConfigModel
    ) -> tuple[Mode, Link]:
        """Return the mode that was asked for, or the first one that this warehouse can."""
        modes = list(kind.linkers) if new.mode == "auto" else [Mode(new.mode)]
        lacking: EnvironmentProblemError | None = None
        for mode in modes:
            linker = kind.linker(mode)
            link = Link(
                project=self._project, slug=new.slug, kind=new.kind, mode=mode, url=secrets.url, options=options,
                patterns=list(new.tables),
            )  # fmt: skip
            try:
                linker.check(link)
                require_relay(self._project, linker)
            except EnvironmentProblemError as error:
                lacking = lacking or error
            else:
                return mode, link
        assert lacking is not None, "a kind has at least one mode"
        raise lacking


def checked_options(kind: SourceKind, options: Mapping[str, Any]) -> ConfigModel:
    """Return settings as an instance of the kind's model.

    Raises:
        ConfigError: One is unknown or wrong; with its path.
    """
    try:
        return kind.options_model.model_validate(dict(options))
    except ValidationError as error:
        raise ConfigError(
            [
                Problem(
                    each["msg"].removeprefix("Value error, "),
                    path=".".join(["options", *map(str, each["loc"])]),
                )
                for each in error.errors(include_input=False)
            ]
        ) from None


def secret_options(kind: SourceKind) -> set[str]:
    """Return the names of the settings of a kind that are kept sealed: those of the type SecretStr."""
    fields = kind.options_model.model_fields.items()
    return {name for name, field in fields if field.annotation in (SecretStr, SecretStr | None)}


def _revealed(options: ConfigModel, hidden: set[str]) -> dict[str, str]:
    values = ((name, getattr(options, name)) for name in hidden)
    return {name: value.get_secret_value() for name, value in values if value and value.get_secret_value()}


def _address(kind: SourceKind, link: Link, secrets: Secrets) -> str:
    """Return where a source is, for people: never with a password."""
    url = secrets.values.get(URL, "")
    if url.startswith(_REFERENCE):
        return url
    linker = kind.linker(link.mode)
    return linker.server(link).shown if isinstance(linker, FdwLinker) else redact(url)
