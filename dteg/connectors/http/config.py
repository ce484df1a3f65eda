"""The part of a connector's config that is about HTTP."""

import re

from pydantic import Field, field_validator

from dteg.connectors.base import ConnectorConfig
from dteg.connectors.http.auth import AuthConfig, NoAuth
from dteg.connectors.http.rate_limit import RateLimit
from dteg.core.retry import RetryPolicy

_CREDENTIAL_HEADER = re.compile(r"authorization|cookie|token|secret|password|api-?key", re.IGNORECASE)
_CLIENT_HEADERS = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class HttpConfig(ConnectorConfig):
    """Base of the config of a connector that talks HTTP."""

    auth: AuthConfig = Field(NoAuth(type="none"), description="How to prove who we are.")
    headers: dict[str, str] = Field({}, description="Headers of every request; never credentials.")
    retry: RetryPolicy = Field(
        # Fewer than those of a load, which are around them.
        RetryPolicy(max_attempts=4, base_delay_s=0.5),
        description="How often a request is tried again; default: 4 attempts, the first wait up to 0.5 s.",
    )
    rate_limit: RateLimit | None = Field(None, description="How many requests may be sent.")
    connect_timeout_s: float = Field(10.0, gt=0, description="Give up connecting after this long.")
    read_timeout_s: float = Field(60.0, gt=0, description="Give up when nothing arrives for this long.")
    request_timeout_s: float = Field(
        600.0, gt=0, description="Give up when an answer takes longer than this."
    )
    max_response_bytes: int = Field(
        100_000_000, ge=1, description="Refuse an answer that is longer than this, unpacked."
    )

    @field_validator("headers")
    @classmethod
    def _plain_headers(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if _CREDENTIAL_HEADER.search(name):
                raise ValueError(f"the header {name} holds credentials; write them under auth")
            if name.lower() in _CLIENT_HEADERS:
                raise ValueError(f"the header {name} is set by the client")
            if not (name.isascii() and name.isprintable() and text.isascii() and text.isprintable()):
                raise ValueError("headers are plain ASCII text on one line")
        return value
