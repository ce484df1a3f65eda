"""`python -m registry`, which is what `dteg registry` starts."""

import asyncio
import getpass
import os
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from dteg.core.errors import ConfigError, DtegError

if TYPE_CHECKING:
    from registry.services import Services

Result = TypeVar("Result")

app = typer.Typer(
    name="dteg registry",
    help="A marketplace of your own.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
_DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir", help="Folder of keys and files; default: DTEG_REGISTRY_DATA_DIR, else .dteg/registry."
    ),
]
_Embedded = Annotated[
    bool, typer.Option("--embedded", help="Bring a document server instead of using DTEG_MONGODB_URL.")
]


@app.command()
def serve(  # noqa: PLR0917 - the options of a command
    embedded: _Embedded = False,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65_535, help="Port to listen on.")] = 8765,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Processes.")] = 2,
    data_dir: _DataDir = None,
    public_url: Annotated[
        str | None, typer.Option(help="How users reach it; default: host and port.")
    ] = None,
    behind_tls_proxy: Annotated[
        bool, typer.Option("--behind-tls-proxy", help="A proxy in front speaks TLS; needed for other hosts.")
    ] = False,
    proxy_address: Annotated[
        str, typer.Option(help="Address of that proxy; its X-Forwarded headers are believed.")
    ] = "127.0.0.1",
    tls_cert: Annotated[
        Path | None, typer.Option(help="Certificate chain as PEM, to speak TLS here.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Key of the certificate as PEM.")] = None,
    access_log: Annotated[bool, typer.Option(help="Write one line of JSON for each request.")] = True,
) -> None:
    """Run the registry until Ctrl-C; settings come from DTEG_REGISTRY_* and DTEG_MONGODB_URL."""
    from registry.serve import Listening
    from registry.serve import serve as run

    listening = Listening(host, port, workers, behind_tls_proxy, proxy_address, tls_cert, tls_key, access_log)
    given = {"public_url": public_url} if public_url else {}
    run(listening, embedded=embedded, data_dir=_data_dir(data_dir), **given)


@app.command()
def create_admin(
    login: Annotated[str, typer.Argument(help="Name of the account.")],
    email: Annotated[str, typer.Option(help="Its address.")] = "",
    embedded: _Embedded = False,
    data_dir: _DataDir = None,
) -> None:
    """Make an administrator: the password is asked for, or comes from DTEG_REGISTRY_ADMIN_PASSWORD.

    That variable may hold a reference, such as secret://file/PATH. Without terminal and variable a password is made
    up and shown once.
    """
    from pydantic import ValidationError

    from registry.serve import make_admin, password_from_environment, told

    made_up = ""
    password = password_from_environment() or _asked()
    if not password:
        password = made_up = secrets.token_urlsafe(15)
    try:
        with told(embedded, data_dir=_data_dir(data_dir)) as settings:
            asyncio.run(make_admin(settings, login, email or f"{login}@localhost.invalid", password))
    except ValidationError as error:
        raise ConfigError("; ".join(each["msg"] for each in error.errors())) from None
    print(f"administrator: {login}" + (f", password {made_up}   (shown only now)" if made_up else ""))


@app.command()
def verify_audit(embedded: _Embedded = False, data_dir: _DataDir = None) -> None:
    """Read the whole audit log and tell the first entry that is missing or changed; exit code 1 if there is one."""
    from registry.serve import told
    from registry.services import Services
    from registry.settings import RegistrySettings

    async def verify(settings: RegistrySettings) -> bool:
        services = Services(settings)
        try:
            found = await services.audit.verify()
        finally:
            await services.database.close()
        print(f"{found.entries} entries, head {found.head}" if found.ok else found.problem)
        return found.ok

    with told(embedded, data_dir=_data_dir(data_dir)) as settings:
        holds = asyncio.run(verify(settings))
    if not holds:
        raise typer.Exit(1)


@app.command()
def verify_log(embedded: _Embedded = False, data_dir: _DataDir = None) -> None:
    """Read the public log of releases and tell the first entry that is missing or changed; exit code 1 if there is one."""
    from registry.services import Services

    async def verify(services: Services) -> bool:
        found = await services.attestations.verify_log()
        print(f"{found.entries} entries, head {found.head}" if found.ok else found.problem)
        return found.ok

    if not _with_services(verify, embedded=embedded, data_dir=data_dir):
        raise typer.Exit(1)


@app.command()
def worker(
    data_dir: _DataDir = None,
    once: Annotated[bool, typer.Option("--once", help="End when there is nothing to do.")] = False,
) -> None:
    """Run the gates of published releases until Ctrl-C; `serve` starts such workers itself."""
    from dteg.core.document_server import dies_with_parent
    from registry.gates.worker import BESIDE_SERVER, work
    from registry.settings import RegistrySettings

    if os.environ.get(BESIDE_SERVER) and (ask := dies_with_parent()) is not None:
        ask()
    asyncio.run(work(RegistrySettings.from_environment(data_dir=_data_dir(data_dir)), once=once))


@app.command()
def backup(
    folder: Annotated[Path, typer.Argument(help="A new or empty folder.")],
    embedded: _Embedded = False,
    data_dir: _DataDir = None,
) -> None:
    """Write the whole registry into a folder, while it works; not the private keys in the data folder."""
    from registry.backup.export import back_up
    from registry.services import Services

    async def export(services: Services) -> None:
        manifest, sha256 = await back_up(services, folder)
        documents = sum(each.count for each in manifest.collections.values())
        print(f"{documents} documents, {len(manifest.blobs)} files; SHA-256 of the manifest: {sha256}")

    _with_services(export, embedded=embedded, data_dir=data_dir)


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="A backup.")],
    expect: Annotated[str, typer.Option(help="SHA-256 of its manifest, as `backup` printed it.")] = "",
    embedded: _Embedded = False,
    data_dir: _DataDir = None,
) -> None:
    """Make a registry from a backup, in an empty database; the backup is verified first."""
    from registry.backup.restore import restore as put_back
    from registry.services import Services

    async def fill(services: Services) -> None:
        manifest = await put_back(services, folder, expect)
        print(f"restored the backup of {manifest.made_at}: {len(manifest.blobs)} files")

    _with_services(fill, embedded=embedded, data_dir=data_dir)


@app.command()
def verify_backup(
    folder: Annotated[Path, typer.Argument(help="A backup.")],
    expect: Annotated[str, typer.Option(help="SHA-256 of its manifest, as `backup` printed it.")] = "",
) -> None:
    """Read all of a backup and tell the first thing that is missing, changed or too much."""
    from registry.backup.restore import verify_backup as check

    manifest = check(folder, expect)
    print(
        f"whole: {len(manifest.collections)} collections, {len(manifest.blobs)} files, of {manifest.made_at}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code; no error of ours shows a traceback."""
    try:
        result = app(args=arguments, standalone_mode=False, prog_name="dteg registry")
    except typer.Exit as done:
        return done.exit_code
    except typer.Abort:
        return 130
    except KeyboardInterrupt:
        return 130
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except Exception as error:
        from click.exceptions import ClickException

        if not isinstance(error, ClickException):
            raise
        error.show()
        return 2
    return result if isinstance(result, int) else 0


def _with_services(
    act: "Callable[[Services], Awaitable[Result]]", *, embedded: bool, data_dir: Path | None
) -> Result:
    """Do something with the services of the registry that the options name."""
    from registry.serve import told
    from registry.services import Services
    from registry.settings import RegistrySettings

    async def run(settings: RegistrySettings) -> Result:
        services = Services(settings)
        try:
            return await act(services)
        finally:
            await services.database.close()

    with told(embedded, data_dir=_data_dir(data_dir)) as settings:
        return asyncio.run(run(settings))


def _data_dir(given: Path | None) -> Path:
    from registry.settings import PREFIX

    return (given or Path(os.environ.get(f"{PREFIX}DATA_DIR") or ".dteg/registry")).absolute()


def _asked() -> str:
    """Ask twice at a terminal; "" without one."""
    if not sys.stdin.isatty():
        return ""
    first = getpass.getpass("Password: ")
    if first != getpass.getpass("Once more: "):
        raise ConfigError("the two passwords differ")
    return first


if __name__ == "__main__":
    sys.exit(main())
