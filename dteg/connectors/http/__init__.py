"""What connectors of web APIs share: auth, rate limit, retries, and answers mapped to our errors."""

from dteg.connectors.http.auth import (
    ApiKeyAuth,
    AuthConfig,
    BasicAuth,
    BearerAuth,
    NoAuth,
    OAuth2ClientCredentials,
)
from dteg.connectors.http.client import HttpClient
from dteg.connectors.http.config import HttpConfig
from dteg.connectors.http.origin import HttpUrl, join_url, resolve_link, without_query
from dteg.connectors.http.rate_limit import RateLimit, TokenBucket
from dteg.connectors.http.response import HttpResponse

__all__ = [
    "ApiKeyAuth",
    "AuthConfig",
    "BasicAuth",
    "BearerAuth",
    "HttpClient",
    "HttpConfig",
    "HttpResponse",
    "HttpUrl",
    "NoAuth",
    "OAuth2ClientCredentials",
    "RateLimit",
    "TokenBucket",
    "join_url",
    "resolve_link",
    "without_query",
]
