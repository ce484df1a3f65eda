"""`dteg login`, `dteg logout`, `dteg token ...`: who you are for a registry."""

import getpass
import json
import os
import platform
import sys
from typing import Annotated, Any

import typer

from dteg.cli.components import AsJson, Registry

app = typer.Typer(help="Tokens for programs.", no_args_is_help=True, rich_markup_mode=None)
PASSWORD_VARIABLE = "DTEG_REGISTRY_PASSWORD"  # noqa: S105 - the name of a variable
_SCOPES = "read, install, review, publish, namespace, account"
_DAYS = 90


def login(
    user: Annotated[str, typer.Option("--user", metavar="LOGIN", help="Account; asked for without it.")] = "",
    token: Annotated[
        bool, typer.Option("--token", help="Read a token instead of a password, from standard input.")
    ] = False,
    registry: Registry = "",
) -> int:
    """Log in to a registry: keeps a token, not the password, in a file that only you can read."""
    from dteg.marketplace.client import RegistryClient
    from dteg.marketplace.credentials import Login, find_login, keep_login, registry_url

    url = registry_url(registry)
    if token:
        secret = _asked("Token: ", "")
        with RegistryClient(url, secret) as client:
            client.get("/usage")
        keep_login(url, Login(secret))
        print(f"logged in to {url} with a token")
        return 0
    name = user or _line("Login: ")
    password = _asked(f"Password of {name}: ", PASSWORD_VARIABLE)
    with RegistryClient(url) as client:
        form = {"grant_type": "password", "username": name, "password": password}
        grant = client.call("POST", "/oauth/token", data=form)
    with RegistryClient(url, str(grant["access_token"])) as client:
        scopes = [scope for scope in str(grant.get("scope", "")).split() if scope != "admin"]
        body = {
            "name": f"dteg on {platform.node()[:60] or 'a machine'}",
            "scopes": scopes,
            "expires_days": _DAYS,
        }
        made = client.call("POST", "/tokens", json=body)
    before = find_login(url)
    keep_login(url, Login(str(made["token"]), name))
    if before and not os.environ.get("DTEG_REGISTRY_TOKEN"):
        _revoke(url, before.token)
    print(f"logged in to {url} as {name}, for {_DAYS} days")
    return 0


def logout(registry: Registry = "") -> int:
    """Log out: ends the kept token at the registry and forgets it."""
    from dteg.core.errors import ConfigError
    from dteg.marketplace.credentials import TOKEN_VARIABLE, find_login, forget_login, registry_url

    url = registry_url(registry)
    if os.environ.get(TOKEN_VARIABLE):
        raise ConfigError(f"the token is in {TOKEN_VARIABLE}: unset it, and end it with dteg token revoke")
    kept = find_login(url)
    if kept is None:
        print(f"not logged in to {url}")
        return 0
    ended = _revoke(url, kept.token)
    forget_login(url)
    print(
        f"logged out of {url}" + ("" if ended else "; the token could not be ended there: dteg token revoke")
    )
    return 0


@app.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="To recognise it by.")],
    scope: Annotated[list[str], typer.Option(help=f"Any of {_SCOPES}; repeat it.")],
    namespace: Annotated[str, typer.Option(help="Good for this namespace only.")] = "",
    component: Annotated[str, typer.Option(help="Good for this namespace/name only.")] = "",
    expires_days: Annotated[int, typer.Option(min=1, max=366, help="Life in days.")] = _DAYS,
    registry: Registry = "",
    as_json: AsJson = False,
) -> int:
    """Make a token and print it once."""
    from dteg.marketplace.session import open_client

    body = {
        "name": name, "scopes": scope, "namespace": namespace, "component": component, "expires_days": expires_days,
    }  # fmt: skip
    with open_client(registry) as client:
        made = client.call("POST", "/tokens", json=body)
    if as_json:
        print(json.dumps(made))
        return 0
    print(made["token"])
    typer.echo(
        f"keep it: it is not shown again; id {made['id']}, until {str(made['expires_at'])[:10]}", err=True
    )
    return 0


@app.command("list")
def list_tokens(registry: Registry = "", as_json: AsJson = False) -> int:
    """List your tokens, without their secrets."""
    from dteg.cli.transfers import print_table
    from dteg.marketplace.session import open_client

    with open_client(registry) as client:
        items: list[dict[str, Any]] = list(client.pages("/tokens"))
    if as_json:
        print(json.dumps(items))
        return 0
    rows = [
        (each["id"], str(each["expires_at"])[:10], each["component"] or each["namespace"] or "all", f"{each['name']}: {', '.join(each['scopes'])}")
        for each in items
    ]  # fmt: skip
    print_table(("id", "until", "for", "name and scopes"), rows)
    return 0


@app.command("revoke")
def revoke_token(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As dteg token list shows it.")],
    registry: Registry = "",
) -> int:
    """End a token at once."""
    from urllib.parse import quote

    from dteg.marketplace.session import open_client

    with open_client(registry) as client:
        client.call("DELETE", f"/tokens/{quote(token_id, safe='')}")
    print(f"ended {token_id}")
    return 0


def _revoke(url: str, token: str) -> bool:
    from dteg.core.errors import DtegError
    from dteg.marketplace.client import RegistryClient

    try:
        with RegistryClient(url) as client:
            answer = client.call("POST", "/oauth/revoke", data={"token": token})
    except DtegError:
        return False
    return bool(answer and answer.get("revoked"))


def _line(prompt: str) -> str:
    from dteg.core.errors import ConfigError

    if not sys.stdin.isatty():
        raise ConfigError("give the account: dteg login --user LOGIN")
    return str(typer.prompt(prompt.rstrip(": "), type=str)).strip()


def _asked(prompt: str, variable: str) -> str:
    """Return a secret: from the environment, from the terminal without echo, or a line of standard input."""
    from dteg.core.errors import ConfigError
    from dteg.core.secrets import resolve

    value = os.environ.get(variable, "") if variable else ""
    if value.startswith("secret://"):
        value = resolve(value)
    if not value:
        value = getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.readline(10_000)
    if not value.strip():
        raise ConfigError("nothing was given" + (f"; set {variable}, or type it" if variable else ""))
    return value.strip("\r\n")
