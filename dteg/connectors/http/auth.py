"""How a client proves who it is: config models, and the credentials each of them adds to a request."""

import base64
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal
from urllib.parse import quote, quote_plus

from pydantic import Field

from dteg.connectors.http.origin import HttpUrl
from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.secrets import Secret

# A token is renewed this long before it expires, so that it does not expire on the way.
RENEW_EARLY_S = 30.0


class NoAuth(ConfigModel):
    """No credentials."""

    type: Literal["none"] = Field("none", description="Send no credentials.")


class BasicAuth(ConfigModel):
    """HTTP basic authentication."""

    type: Literal["basic"] = Field(description="User and password in the Authorization header.")
    username: str = Field(description="User name; may not hold a colon.", pattern="^[^:]*$")
    password: Secret = Field(description="Password, as a secret reference.")


class BearerAuth(ConfigModel):
    """A fixed token."""

    type: Literal["bearer"] = Field(description="Token in the Authorization header.")
    token: Secret = Field(description="Token, as a secret reference.")


class ApiKeyAuth(ConfigModel):
    """A key in a header or in the query."""

    type: Literal["api_key"] = Field(description="Key under a name of the server's choice.")
    key: Secret = Field(description="Key, as a secret reference.")
    name: str = Field("X-API-Key", min_length=1, description="Name of the header or query parameter.")
    send_in: Literal["header", "query"] = Field("header", description="Where the key goes.")


class OAuth2ClientCredentials(ConfigModel):
    """A token that is asked for with an id and a secret, and asked for again before it expires."""

    type: Literal["oauth2_client_credentials"] = Field(description="OAuth 2.0 client credentials grant.")
    token_url: HttpUrl = Field(description="Where tokens are given out.")
    client_id: str = Field(description="Name of this client.")
    client_secret: Secret = Field(description="Secret of this client, as a secret reference.")
    scope: str = Field("", description="Rights to ask for, separated by blanks.")
    client_auth: Literal["basic", "body"] = Field(
        "basic", description="Whether id and secret travel in the Authorization header or in the form."
    )


AuthConfig = Annotated[
    NoAuth | BasicAuth | BearerAuth | ApiKeyAuth | OAuth2ClientCredentials, Field(discriminator="type")
]


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What is added to one request.

    Attributes:
        headers: Headers.
        params: Query parameters.
        secrets: Values that must not appear in messages, in each of their spellings.
    """

    headers: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """An access token.

    Attributes:
        value: The token itself.
        lifetime_s: How long it is good for; None if the server did not say.
    """

    value: str
    lifetime_s: float | None = None


FetchToken = Callable[[OAuth2ClientCredentials], Token]


class Authenticator:
    """Gives credentials for requests, keeping an OAuth token until it expires; safe among threads."""

    def __init__(
        self, config: AuthConfig, fetch_token: FetchToken, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep the config; ask for no token yet."""
        self._config = config
        self._fetch_token = fetch_token
        self._clock = clock
        self._token = ""
        self._expires_at: float | None = None
        self._lock = threading.Lock()

    def credentials(self) -> Credentials:
        """Return what to add to a request, reading secrets anew, so that a rotated one is seen.

        Raises:
            ConfigError: A secret does not exist or cannot stand in a header.
            ConnectorError: No token could be had.
        """
        match self._config:
            case NoAuth():
                return Credentials()
            case BasicAuth(username=username, password=password):
                return basic_credentials(username, password.reveal())
            case BearerAuth(token=token):
                return _bearer(token.reveal())
            case ApiKeyAuth(key=key, name=name, send_in="query"):
                return Credentials(params={name: key.reveal()}, secrets=spellings(key.reveal()))
            case ApiKeyAuth(key=key, name=name):
                return Credentials({name: _header_value(key.reveal())}, secrets=spellings(key.reveal()))
            case OAuth2ClientCredentials(client_secret=secret) as config:
                bearer = _bearer(self._valid_token(config))
                return Credentials(bearer.headers, secrets=(*bearer.secrets, *spellings(secret.reveal())))

    def renew(self) -> bool:
        """Drop the cached token, if there is one; return whether the next credentials will differ."""
        with self._lock:
            had_token, self._token = bool(self._token), ""
        return had_token

    def _valid_token(self, config: OAuth2ClientCredentials) -> str:
        with self._lock:
            if not self._token or (self._expires_at is not None and self._clock() >= self._expires_at):
                asked_at = self._clock()
                token = self._fetch_token(config)
                self._token = token.value
                self._expires_at = None
                if token.lifetime_s is not None:
                    early_s = min(RENEW_EARLY_S, token.lifetime_s / 10)
                    self._expires_at = asked_at + token.lifetime_s - early_s
            return self._token


def basic_credentials(username: str, password: str) -> Credentials:
    """Return the Authorization header of HTTP basic authentication, in UTF-8."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode("ascii")
    return Credentials({"Authorization": f"Basic {pair}"}, secrets=(*spellings(password), pair))


def spellings(secret: str) -> tuple[str, ...]:
    """Return a secret as it may appear in a body, a URL or a JSON text, the longest first."""
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}
    return tuple(sorted(forms - {""}, key=len, reverse=True))


def _bearer(token: str) -> Credentials:
    return Credentials({"Authorization": f"Bearer {_header_value(token)}"}, secrets=spellings(token))


def _header_value(secret: str) -> str:
    """Refuse here what the HTTP library would refuse with the secret in its message."""
    if not (secret and secret.isascii() and secret.isprintable() and secret == secret.strip()):
        raise ConfigError("auth: the secret is empty or holds characters that a header cannot carry")
    return secret
