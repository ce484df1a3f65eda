"""`dteg publish`, `yank`, `deprecate`, `namespace ...`, `key ...`: for those who make components."""

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dteg.cli.components import AsJson, Registry

if TYPE_CHECKING:
    from dteg.marketplace.client import RegistryClient
    from dteg.packages import WheelContents
    from dteg.signing import SigningKey

namespaces = typer.Typer(help="Where components are published.", no_args_is_help=True, rich_markup_mode=None)
keys = typer.Typer(help="Keys that releases are signed with.", no_args_is_help=True, rich_markup_mode=None)
Namespace = Annotated[str, typer.Argument(metavar="NAMESPACE", help="Small letters and digits.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back.")]
_QUICK_GATES = ("structure", "documentation")


def publish(
    component: Annotated[str, typer.Argument(metavar="NAME", help="Name, or folder such as `.`.")],
    namespace: Annotated[str, typer.Option(help="Default: the one in dteg.yaml.")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Build and run all gates here; send nothing.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Write wheel and signature there, for the upload page; send nothing."
        ),
    ] = None,
    timeout_s: Annotated[int, typer.Option(min=1, help="Seconds to wait for the registry's gates.")] = 900,
    registry: Registry = "",
) -> int:
    """Build, sign and upload a component, and show what the registry's gates say until it is listed."""
    import tempfile

    from dteg.manifest import MANIFEST_NAME, read_manifest
    from dteg.marketplace.publish import load_key
    from dteg.marketplace.session import open_client
    from dteg.packages import build_wheel, inspect_wheel
    from dteg.packages.locate import locate_component

    folder = locate_component(component)
    owner = namespace or read_manifest(folder / MANIFEST_NAME).namespace
    if not owner:
        return _no_namespace()
    key = None if dry_run else load_key(owner)
    with tempfile.TemporaryDirectory(prefix="dteg-publish-") as scratch:
        wheel = build_wheel(folder, namespace=owner, out=Path(scratch))
        contents = inspect_wheel(wheel)
        print(f"built {contents.filename}: {contents.size:,} bytes, SHA-256 {contents.sha256}", flush=True)
        if not _gates_pass(wheel, all_of_them=dry_run):
            print("not sent: repair what is named above" if not dry_run else "would not be listed")
            return 1
        if key is None:
            print("nothing was sent")
            return 0
        if out is not None:
            _keep(wheel, contents, key, out)
            return 0
        with open_client(registry) as client:
            _send(client, wheel, contents, key)
            return _follow(client, contents, timeout_s)


def _keep(wheel: Path, contents: "WheelContents", key: "SigningKey", out: Path) -> None:
    """Write a wheel and its signature into a folder."""
    from dteg.core.errors import EnvironmentProblemError
    from dteg.marketplace.publish import publish_envelope

    signature = out / f"{contents.filename}.dsse.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        (out / contents.filename).write_bytes(wheel.read_bytes())
        signature.write_text(json.dumps(publish_envelope(contents, key)))
    except OSError as error:
        raise EnvironmentProblemError(f"{out} cannot be written: {error.strerror}") from None
    print(f"wrote {out / contents.filename}\nwrote {signature}\nnothing was sent")


def yank(
    component: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="One release.")],
    reason: Annotated[str, typer.Option(help="Shown to everybody who has it.")] = "",
    undo: Undo = False,
    registry: Registry = "",
) -> int:
    """Keep new installations from taking a release; who has locked it still gets it."""
    from dteg.core.errors import ConfigError
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_client
    from dteg.marketplace.source import RegistrySource

    reference = parse_reference(component)
    if not reference.exact:
        raise ConfigError("name one version: dteg yank NAME@1.2.0 --reason TEXT")
    if not reason and not undo:
        raise ConfigError("say why: --reason TEXT")
    with open_client(registry) as client:
        name = RegistrySource(client).find(reference)
        path = f"/components/{name}/releases/{reference.exact}/yank"
        if undo:
            client.call("DELETE", path)
        else:
            client.call("POST", path, json={"reason": reason})
    print(f"{name}@{reference.exact} is {'listed again' if undo else 'yanked'}")
    return 0


def deprecate(
    component: Annotated[str, typer.Argument(metavar="NAME", help="Which.")],
    reason: Annotated[str, typer.Option(help="Shown to everybody.")] = "",
    replacement: Annotated[str, typer.Option(metavar="NAMESPACE/NAME", help="What to use instead.")] = "",
    undo: Undo = False,
    registry: Registry = "",
) -> int:
    """Say that nobody should begin to use a component."""
    from dteg.core.errors import ConfigError
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_client
    from dteg.marketplace.source import RegistrySource

    if not reason and not undo:
        raise ConfigError("say why: --reason TEXT")
    with open_client(registry) as client:
        source = RegistrySource(client)
        name = source.find(parse_reference(component))
        other = source.find(parse_reference(replacement)) if replacement else ""
        path = f"/components/{name}/deprecation"
        if undo:
            client.call("DELETE", path)
        else:
            client.call("POST", path, json={"reason": reason, "replacement": other})
    print(f"{name} is {'no longer ' if undo else ''}deprecated")
    return 0


@namespaces.command("create")
def create_namespace(name: Namespace, registry: Registry = "") -> int:
    """Claim a namespace."""
    from dteg.marketplace.session import open_client

    with open_client(registry) as client:
        client.call("POST", "/namespaces", json={"name": _checked(name)})
    print(f"{name} is yours; make a signing key with: dteg key create {name}")
    return 0


@namespaces.command("members")
def members(
    name: Namespace,
    add: Annotated[str, typer.Option(metavar="LOGIN", help="Add a member, or change its role.")] = "",
    role: Annotated[str, typer.Option(help="owner, maintainer or reader.")] = "maintainer",
    remove: Annotated[str, typer.Option(metavar="LOGIN", help="Remove a member.")] = "",
    registry: Registry = "",
) -> int:
    """Show the members of a namespace, or change them."""
    from urllib.parse import quote

    from dteg.cli.transfers import print_table
    from dteg.marketplace.session import open_client

    with open_client(registry) as client:
        path = f"/namespaces/{_checked(name)}"
        if add:
            client.call("PUT", f"{path}/members/{quote(add, safe='')}", json={"role": role})
        if remove:
            client.call("DELETE", f"{path}/members/{quote(remove, safe='')}")
        found = client.get(path)
    print_table(("member", "role"), [(each["login"], each["role"]) for each in found["members"]])
    return 0


@namespaces.command("keys")
def namespace_keys(name: Namespace, registry: Registry = "", as_json: AsJson = False) -> int:
    """Show the signing keys of a namespace as the registry knows them."""
    from dteg.cli.transfers import print_table
    from dteg.marketplace.session import open_client

    with open_client(registry) as client:
        found: list[dict[str, Any]] = client.get(f"/namespaces/{_checked(name)}")["keys"]
    if as_json:
        print(json.dumps(found))
        return 0
    rows = [
        (each["key_id"][:16], str(each["from_at"])[:10], str(each["to_at"] or "good")[:10], each["name"])
        for each in found
    ]
    print_table(("key", "from", "until", "name"), rows)
    return 0


@keys.command("create")
def create_key(
    name: Namespace,
    label: Annotated[str, typer.Option("--name", help="To recognise it by.")] = "",
    registry: Registry = "",
) -> int:
    """Make a signing key for a namespace, keep it here, and register its public part."""
    import platform

    from dteg.marketplace.publish import key_path
    from dteg.marketplace.session import open_client
    from dteg.signing import SigningKey

    path, key = key_path(_checked(name)), SigningKey.generate()
    with open_client(registry) as client:
        key.save(path)
        try:
            body = {"public_key": key.public, "name": label or f"dteg on {platform.node()[:60]}"}
            made = client.call("POST", f"/namespaces/{name}/keys", json=body)
        except BaseException:
            path.unlink()  # nobody would accept what it signs
            raise
    print(
        f"key {made['key_id']}\nkept in {path}; back it up: who loses it has to change keys, which users notice"
    )
    return 0


@keys.command("list")
def list_keys(as_json: AsJson = False) -> int:
    """List the signing keys that are kept here."""
    from dteg.cli.transfers import print_table
    from dteg.marketplace.publish import key_path
    from dteg.signing import SigningKey

    folder = key_path("any").parent
    found = [(path.stem, SigningKey.load(path).key_id, str(path)) for path in sorted(folder.glob("*.pem"))]
    if as_json:
        print(json.dumps([{"namespace": one, "key_id": two, "file": three} for one, two, three in found]))
    elif found:
        print_table(("namespace", "key", "file"), [(one, two[:16], three) for one, two, three in found])
    else:
        print("no keys are kept here; make one with: dteg key create NAMESPACE")
    return 0


@keys.command("revoke")
def revoke_key(
    name: Namespace,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="As dteg namespace keys shows it.")],
    registry: Registry = "",
) -> int:
    """Refuse what a key signs from now on; what it signed before stays good."""
    from dteg.core.errors import NotFoundError
    from dteg.marketplace.session import open_client

    with open_client(registry) as client:
        path = f"/namespaces/{_checked(name)}"
        known = [str(each["key_id"]) for each in client.get(path)["keys"]]
        fitting = [each for each in known if len(key_id) >= 8 and each.startswith(key_id)]
        if len(fitting) != 1:
            raise NotFoundError(f"{name} has no key {key_id[:64]!r}; see: dteg namespace keys {name}")
        client.call("DELETE", f"{path}/keys/{fitting[0]}")
    print(f"revoked {fitting[0]}")
    return 0


def _checked(namespace: str) -> str:
    """Refuse what is no namespace before it becomes a part of a path."""
    import re

    from dteg.core.errors import ConfigError
    from dteg.manifest import NAMESPACE_PATTERN

    if not re.fullmatch(NAMESPACE_PATTERN, namespace):
        raise ConfigError(
            f"{namespace[:50]!r} is no namespace; use 2 to 39 small letters and digits, a letter first"
        )
    return namespace


def _no_namespace() -> int:
    from dteg.core.errors import ConfigError

    raise ConfigError(
        "whose is it? write `namespace: NAME` into dteg.yaml or give --namespace; claim one with: dteg namespace create"
    )


def _gates_pass(wheel: Path, *, all_of_them: bool) -> bool:
    """Run the gates here: all for a dry run, else only those that need no sandbox, as the registry runs all."""
    from dteg.cli.test import _print_gate
    from dteg.gates import run_gates
    from dteg.manifest import REQUIRED_GATES

    report = run_gates(wheel, listener=_print_gate, gates=REQUIRED_GATES if all_of_them else _QUICK_GATES)
    if all_of_them:
        print(f"score {report.score:.0f} of 100")
        return bool(report.passed)
    return all(result.status == "passed" for result in report.results)


def _send(client: "RegistryClient", wheel: Path, contents: "WheelContents", key: Any) -> None:
    from dteg.cli.transfers import transfer_bars
    from dteg.marketplace.publish import publish_envelope, upload

    with transfer_bars() as watch:
        upload(
            client, wheel, publish_envelope(contents, key), lambda done, size: watch(wheel.name, done, size)
        )
    print(f"sent to {client.url}; its gates run now", flush=True)


def _follow(client: "RegistryClient", contents: "WheelContents", timeout_s: int) -> int:
    from dteg.marketplace.publish import Verdict, follow_gates

    manifest = contents.manifest
    component = f"{manifest.namespace}/{manifest.slug}"
    verdict = None
    for each in follow_gates(client, component, manifest.version, time.monotonic, timeout_s):
        if isinstance(each, Verdict):
            verdict = each
            break
        print(f"{each.status:<8} {each.gate:<14} {each.summary} ({each.duration_s:.1f} s)", flush=True)
        for finding in each.findings:
            print(f"  {finding}")
    assert verdict is not None, "follow_gates ends with a verdict or raises"
    why = f": {verdict.reason}" if verdict.reason else ""
    score = f", score {verdict.score:.0f} of 100" if verdict.score is not None else ""
    print(f"{component}@{manifest.version} is {verdict.state}{score}{why}")
    if verdict.state == "listed":
        print(f"install it with: dteg install {component}")
        return 0
    page = f"{client.url}/c/{component}/gates/{manifest.version}"
    print(f"repair what is named above, give it a new version, and publish again; details: {page}")
    return 1
