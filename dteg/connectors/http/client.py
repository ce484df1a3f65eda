"""The client that connectors use: credentials, rate limit, retries, redirects and errors in one call."""

import dataclasses
import logging
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import orjson

from dteg.connectors.http.auth import (
    Authenticator,
    Credentials,
    OAuth2ClientCredentials,
    Token,
    basic_credentials,
    spellings,
)
from dteg.connectors.http.config import HttpConfig
from dteg.connectors.http.origin import resolve_link, without_query
from dteg.connectors.http.rate_limit import TokenBucket
from dteg.connectors.http.response import HttpResponse
from dteg.connectors.http.transport import HttpRequest, Transport
from dteg.core.errors import PermanentError, TransientError
from dteg.core.retry import call_with_retry

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_log = logging.getLogger(__name__)

Param = str | int | float | bool


class HttpClient:
    """Sends requests under one config.

    `request` tries again after transient failures and returns only successes, unless told otherwise.
    """

    def __init__(
        self, config: HttpConfig, *, component: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        """Open nothing yet.

        Args:
            config: Auth, limits and timeouts.
            component: Named in errors.
            sleep: Waits between attempts and under the rate limit; replaced in tests.
        """
        self._config = config
        self._component = component
        self._sleep = sleep
        self._transport = Transport(config, component)
        self._bucket = TokenBucket(config.rate_limit, sleep=sleep) if config.rate_limit else None
        self._authenticator = Authenticator(config.auth, self._fetch_token)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, Param] | None = None,
        json: Any = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Collection[int] = (),
        stream: str = "",
    ) -> HttpResponse:
        """Send a request until it succeeds.

        Args:
            method: HTTP method; it must be safe to repeat.
            url: URL; it may have a query already.
            params: Parameters to add to it.
            json: Body, written as JSON.
            content: Body, sent as JSON as it is.
            headers: Headers besides those of the config.
            accept: Statuses outside 2xx to return instead of raising.
            stream: Named in errors.

        Raises:
            TransientError: Out of attempts.
            PermanentError: The server refused, or sent us elsewhere.
        """
        body = orjson.dumps(json) if json is not None else content
        own = dict(headers or {})
        if body is not None:
            own["Content-Type"] = "application/json"
        # A URL that the server gave stays as it is: merging, even of nothing, writes its query anew.
        target = httpx.URL(url).copy_merge_params(params) if params else httpx.URL(url)
        request = HttpRequest(method, target, own, body)
        attempts = 0

        def attempt() -> HttpResponse:
            nonlocal attempts
            attempts += 1
            response = self._authorized(request)
            if response.status // 100 == 2 or response.status in accept:
                return dataclasses.replace(response, attempts=attempts)
            raise response.failure(component=self._component, stream=stream)

        return self._retrying(attempt)

    def close(self) -> None:
        """Close the connections; a later request opens new ones."""
        self._transport.close()

    def _retrying(self, attempt: Callable[[], HttpResponse]) -> HttpResponse:
        def tell(number: int, delay_s: float, error: TransientError) -> None:
            _log.warning("attempt %d failed, the next one follows in %.1f s: %s", number, delay_s, error)

        return call_with_retry(attempt, self._config.retry, on_retry=tell, sleep=self._sleep)

    def _authorized(self, request: HttpRequest) -> HttpResponse:
        """Send with credentials; renew an OAuth token once if the server no longer takes it."""
        response = self._redirected(request, self._authenticator.credentials())
        if response.status == 401 and self._authenticator.renew():
            response = self._redirected(request, self._authenticator.credentials())
        return response

    def _redirected(self, request: HttpRequest, credentials: Credentials) -> HttpResponse:
        """Send, following redirects on the same origin that keep the request as it is."""
        url = request.url
        for _ in range(MAX_REDIRECTS + 1):
            response = self._limited(
                dataclasses.replace(
                    request,
                    url=url.copy_merge_params(credentials.params) if credentials.params else url,
                    headers={**request.headers, **credentials.headers},
                    secrets=credentials.secrets,
                )
            )
            location = response.headers.get("location")
            if response.status not in _REDIRECTS or not location:
                return response
            if request.method not in ("GET", "HEAD") and response.status not in (307, 308):
                return response
            url = httpx.URL(resolve_link(str(url), location, "the redirect"))
        raise PermanentError(
            f"{without_query(request.url)}: more than {MAX_REDIRECTS} redirects", component=self._component
        )

    def _limited(self, request: HttpRequest) -> HttpResponse:
        if self._bucket:
            self._bucket.acquire()
        return self._transport.send(request)

    def _fetch_token(self, config: OAuth2ClientCredentials) -> Token:
        form = {"grant_type": "client_credentials"}
        if config.scope:
            form["scope"] = config.scope
        secret = config.client_secret.reveal()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        secrets = spellings(secret)
        if config.client_auth == "body":
            form |= {"client_id": config.client_id, "client_secret": secret}
        else:
            # RFC 6749, 2.3.1: both are form-encoded before they are joined.
            basic = basic_credentials(quote(config.client_id, safe=""), quote(secret, safe=""))
            headers |= basic.headers
            secrets += basic.secrets
        url = httpx.URL(config.token_url)
        response = self._transport.send(HttpRequest("POST", url, headers, urlencode(form).encode(), secrets))
        return self._read_token(response)

    def _read_token(self, response: HttpResponse) -> Token:
        """Take the token out of the answer, whose text is never repeated: it may hold tokens."""
        blank = dataclasses.replace(response, body=b"")
        failure = blank.failure(component=self._component)
        if isinstance(failure, TransientError):
            raise failure
        try:
            answer = orjson.loads(response.body)
        except orjson.JSONDecodeError:
            answer = None
        token = answer.get("access_token") if isinstance(answer, dict) else None
        if response.status // 100 != 2 or not isinstance(token, str) or not token:
            reason = answer.get("error", "") if isinstance(answer, dict) else ""
            known = f" ({reason})" if reason in _TOKEN_ERRORS else ""
            raise PermanentError(
                f"auth: {blank.place} answered {response.status} without an access token{known}",
                component=self._component,
            )
        lifetime = answer.get("expires_in")
        return Token(token, float(lifetime) if isinstance(lifetime, int | float) else None)


# RFC 6749, 5.2.
_TOKEN_ERRORS = frozenset(
    {
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
        "invalid_scope",
    }
)  # fmt: skip
