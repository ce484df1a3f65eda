"""Secrets are references in configuration and become values only when a connector asks.

    secret://env/NAME          environment variable
    secret://file/PATH         first line of a file (`secret://file//run/secrets/x` is absolute)

A provider is one function; Vault and the encrypted file plug in here.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from dteg.core.errors import ConfigError, NotAvailableError

MASK = "**********"
_REFERENCE = re.compile(r"^secret://(?P<provider>[a-z]+)/(?P<name>.+)$", re.DOTALL)


class Secret:
    """A value that never shows itself: `repr`, `str` and dumps give a mask.

    `reveal()` resolves the reference, each time anew, so that a rotated secret is seen.
    """

    __slots__ = ("_literal", "_reference")

    def __init__(self, reference: str, *, literal: bool = False) -> None:
        """Hold a `secret://` reference, or with `literal` the value itself (for code, never for YAML)."""
        if not literal and not _REFERENCE.match(reference):
            # The text may be the secret itself, so it is not repeated.
            raise ValueError("write a reference such as secret://env/NAME, not the secret itself")
        self._reference = "" if literal else reference
        self._literal = reference if literal else None

    def reveal(self) -> str:
        """Return the secret.

        Raises:
            ConfigError: The environment variable or file does not exist.
        """
        return self._literal if self._literal is not None else resolve(self._reference)

    def __repr__(self) -> str:
        """Show the reference but never the value."""
        return f"Secret({self._reference or MASK!r})"

    def __str__(self) -> str:
        """Show only the mask."""
        return self._reference or MASK

    def __eq__(self, other: object) -> bool:
        """Compare references and literals without revealing either."""
        return isinstance(other, Secret) and (self._reference, self._literal) == (
            other._reference,
            other._literal,
        )

    def __hash__(self) -> int:
        """Hash what `__eq__` compares."""
        return hash((self._reference, self._literal))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Accept a Secret or a reference string; dump as the reference or the mask."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, Secret) else cls(_text(value)),
            serialization=core_schema.plain_serializer_function_ser_schema(str),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Describe as a reference string."""
        return {"type": "string", "pattern": "^secret://", "format": "secret-reference"}


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("write a reference such as secret://env/NAME")  # noqa: TRY004 - pydantic wants it
    return value


def _from_env(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise ConfigError(f"secret://env/{name}: the environment variable {name} is not set") from None


def _from_file(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").split("\n", 1)[0].rstrip("\r")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"secret://file/{path}: cannot be read ({type(error).__name__})") from None


PROVIDERS: dict[str, Callable[[str], str]] = {"env": _from_env, "file": _from_file}


def resolve(reference: str) -> str:
    """Return the value behind a `secret://` reference.

    Raises:
        ConfigError: Not a reference, or nothing is there.
        NotAvailableError: A provider that is not there.
    """
    match = _REFERENCE.match(reference)
    if not match:
        raise ConfigError("not a secret reference; write secret://env/NAME or secret://file/PATH")
    provider = PROVIDERS.get(match["provider"])
    if provider is None:
        raise NotAvailableError(
            f"secret provider {match['provider']!r}; there are: {', '.join(sorted(PROVIDERS))}"
        )
    return provider(match["name"])


# Up to the last @, because a password may hold one.
_URL_PASSWORD = re.compile(r"(?P<head>[a-z][a-z0-9+.-]*://[^\s:/@]*:)[^\s/]+(?=@)", re.IGNORECASE)
_VALUE = r"(?:'[^']*'|\"[^\"]*\"|[^\s,;&\"']+)"
# `db_password=x`, `PGPASSWORD: x`, `"client_secret": "x"`; but not the reference `secret://env/X`.
_KEY_VALUE = re.compile(
    r"(?P<head>(?:passw(?:or)?d|pwd|token|secret|(?:api|access|private)[_-]?key)[\"']?\s*[=:]\s*(?!//|secret://|\*{10}))"
    + _VALUE,
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(
    r"(?P<head>\b(?:bearer|basic|authorization:\s*token)\s+)[A-Za-z0-9._~+/=-]{6,}", re.IGNORECASE
)
_PASSWORD_PARAMETER = re.compile(r"(?:^|[?&\s])(?:ssl)?passw(?:or)?d\s*=\s*[^\s&]", re.IGNORECASE)


def redact(text: str, *secrets: str) -> str:
    """Mask passwords in URLs, key=value pairs, authorization headers and the given values."""
    for secret in secrets:
        if len(secret) >= 3:
            text = text.replace(secret, MASK)
    for pattern in (_URL_PASSWORD, _KEY_VALUE, _AUTHORIZATION):
        text = pattern.sub(rf"\g<head>{MASK}", text)
    return text


def _no_inline_password(value: str) -> str:
    if not value.startswith("secret://") and (
        _URL_PASSWORD.search(value) or _PASSWORD_PARAMETER.search(value)
    ):
        raise ValueError("the URL holds a password; write the whole URL as secret://env/NAME")
    return value


class ConnectionUrl(str):
    """A URL without password, or a `secret://` reference to a whole URL."""

    __slots__ = ()

    def reveal(self) -> str:
        """Return the URL to connect with."""
        return resolve(self) if self.startswith("secret://") else str(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Accept text; refuse a password written inline."""
        return core_schema.no_info_after_validator_function(
            lambda value: cls(_no_inline_password(value)), core_schema.str_schema(min_length=1)
        )
