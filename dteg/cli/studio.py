"""`dteg studio ...`: run the data app, let browsers in, and make its tokens; and what all commands with `--url` share."""

import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Self, TypeVar

import typer

from dteg.cli.transfers import print_json, print_table

if TYPE_CHECKING:
    from dteg.core.project import Project
    from dteg.studio_client import StudioClient

StudioUrl = Annotated[
    str,
    typer.Option(
        "--url", metavar="URL", envvar="DTEG_STUDIO_URL", help="Ask the studio there; default: work here."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class Local(Protocol):
    """A domain's service that works on the library directly."""

    @classmethod
    def of(cls, project: "Project") -> Self:
        """Return the one of a project."""


LocalT = TypeVar("LocalT", bound=Local)


def service(local: type[LocalT], remote: "Callable[[StudioClient], Any]", url: str) -> LocalT:
    """Return what a command calls: the domain's service here, or with a URL the one of a studio.

    Args:
        local: The class that works here.
        remote: The class with the same methods over HTTP; one test suite shows that they are the same.
        url: What `--url` says.

    Raises:
        EnvironmentProblemError: There is no project here, and no URL.
        ConfigError: The URL is none.
    """
    if not url:
        from dteg.core.project import Project

        return local.of(Project.find())
    asked: LocalT = remote(client_for(url))
    return asked


def client_for(url: str) -> "StudioClient":
    """Return a client of the studio at a URL, with the token that fits.

    Raises:
        ConfigError: The URL is none.
    """
    from dteg.studio_client import StudioClient

    return StudioClient(url, token_for(url))


def token_for(url: str) -> str:
    """Return the token in `DTEG_STUDIO_TOKEN`, else the project's own if the studio there is the project's.

    The own token may do everything, so it is sent to a server only when that is the one we have started.
    """
    from urllib.parse import urlsplit

    from dteg.core.errors import EnvironmentProblemError
    from dteg.core.project import Project
    from dteg.studio_client import LOOPBACK, TOKEN_VARIABLE, token_from_environment

    if given := os.environ.get(TOKEN_VARIABLE):
        return token_from_environment(given)
    try:
        project = Project.find()
        parts = urlsplit(url)
        port = parts.port
    except (EnvironmentProblemError, ValueError):
        return ""
    if parts.hostname in LOOPBACK and port is not None and port == _running_port(project):
        from dteg.tokens.local import local_token

        return local_token(project)
    return ""


app = typer.Typer(rich_markup_mode=None)
tokens = typer.Typer(
    help="Credentials for programs that ask the studio.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(tokens, name="token")


@app.callback(invoke_without_command=True)
def studio(
    context: typer.Context,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port; default: DTEG_STUDIO_PORT or 8766.")
    ] = None,
    host: Annotated[str, typer.Option(help="Address; default: this machine only.")] = "",
    open_: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    allow_network: Annotated[
        bool, typer.Option("--allow-network", help="Let other machines in; see the guide first.")
    ] = False,
    access_log: Annotated[
        bool, typer.Option("--access-log", help="Write a line for each request to standard error.")
    ] = False,
) -> None:
    """Run the studio of this project until Ctrl-C or `dteg stop`; it prints a link that logs a browser in, once."""
    if context.invoked_subcommand is not None:
        return
    from dteg.core.errors import MissingExtraError

    # By name, and in another process: the library knows no app, and commands start without a web framework.
    if find_spec("studio") is None or find_spec("fastapi") is None or find_spec("uvicorn") is None:
        raise MissingExtraError("studio", "dteg studio")
    options = [("--port", str(port or "")), ("--host", host)]
    arguments = [part for name, value in options if value for part in (name, value)]
    flags = [("--open", open_), ("--allow-network", allow_network), ("--access-log", access_log)]
    arguments += [name for name, wanted in flags if wanted]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "studio", *arguments])  # noqa: S606 - arguments as they are


@app.command("link")
def link(url: StudioUrl = "") -> int:
    """Print a link that logs one browser in to the running studio, once."""
    from dteg.core.errors import EnvironmentProblemError
    from dteg.core.project import Project

    if not url:
        port = _running_port(Project.find())
        if port is None:
            raise EnvironmentProblemError("no studio of this project runs; start it with: dteg studio")
        url = f"http://127.0.0.1:{port}"
    with client_for(url) as client:
        made = client.post("/login-links")
    print(made["url"])
    typer.echo(f"for one browser, within {made['expires_in_s'] // 60} minutes", err=True)
    return 0


@tokens.command("create")
def create_token(
    name: Annotated[str, typer.Argument(help="To recognise it by.")],
    scope: Annotated[
        list[str], typer.Option(help="read, write, publish, subscribe or admin; may be given several times.")
    ],
    topic: Annotated[
        list[str] | None, typer.Option(help="Only this topic; may be given several times.")
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            help="Sees the datasets, charts and dashboards for this role; may be given several times."
        ),
    ] = None,
    expires: Annotated[str, typer.Option(help="How long it holds, in days or weeks, such as 30d.")] = "90d",
    url: StudioUrl = "",
    as_json: AsJson = False,
) -> int:
    """Make a token and print its secret, which is not shown again."""
    new = _new_token(name, scope, topic or [], role or [], expires)
    made = _tokens(url).create(new)
    if as_json:
        print(made.model_dump_json())
        return 0
    print(made.token)
    typer.echo(f"keep it: it is not shown again; id {made.id}, until {made.expires_at:%Y-%m-%d}", err=True)
    return 0


@tokens.command("list")
def list_tokens(url: StudioUrl = "", as_json: AsJson = False) -> int:
    """List the tokens, without their secrets."""
    found = _tokens(url).list()
    if as_json:
        print_json(found)
        return 0
    rows = [
        (each.id, f"{each.expires_at:%Y-%m-%d}", ", ".join(each.scopes), ", ".join(each.topics) or "-", each.name)
        for each in found
    ]  # fmt: skip
    print_table(("id", "until", "scopes", "topics", "name"), rows)
    return 0


@tokens.command("revoke")
def revoke_token(
    name: Annotated[str, typer.Argument(help="Its name or id, as dteg studio token list shows it.")],
    url: StudioUrl = "",
) -> int:
    """End a token, and every login made with it."""
    ended = _tokens(url).revoke(name)
    print(f"ended {ended.name} ({ended.id})")
    return 0


def _tokens(url: str) -> Any:
    from dteg.tokens.remote import RemoteTokens
    from dteg.tokens.service import Tokens

    return service(Tokens, RemoteTokens, url)


def _new_token(name: str, scopes: list[str], topics: list[str], roles: list[str], expires: str) -> Any:
    from pydantic import ValidationError

    from dteg.core.durations import parse_duration
    from dteg.core.errors import ConfigError
    from dteg.tokens.models import NewToken

    try:
        days = parse_duration(expires).total_seconds() / 86_400
        if days != int(days):
            raise ConfigError(f"--expires {expires}: write whole days, such as 30d")
        return NewToken.model_validate(
            {"name": name, "scopes": scopes, "topics": topics, "roles": roles, "expires_days": int(days)}
        )
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc'])) or 'token'}: {each['msg']}" for each in error.errors()]
        raise ConfigError("\n".join(lines)) from None
    except ValueError as error:
        raise ConfigError(f"--expires: {error}") from None


def _running_port(project: "Project") -> int | None:
    """Return the port of the project's running studio."""
    from dteg.core.processes import registered

    return next((server.port for server in registered(project) if server.name == "studio"), None)
