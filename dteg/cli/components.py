"""`dteg install`, `update`, `uninstall`, `list`, `eject`, `mirror`: components of this project and environment."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from dteg.marketplace.eject import Ejected
    from dteg.marketplace.plan import Options, Plan, Planned, Planner
    from dteg.marketplace.references import Reference
    from dteg.marketplace.session import Session

Registry = Annotated[
    str, typer.Option("--registry", metavar="URL", help="Registry or mirror; default: DTEG_REGISTRY_URL.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would change; change nothing.")]
Accept = Annotated[
    bool, typer.Option("--accept-downgrade", help="Take what is trusted less than what it replaces.")
]
MinAge = Annotated[str, typer.Option(metavar="AGE", help="Leave out releases younger than this, such as 3d.")]
MinTrust = Annotated[str, typer.Option(metavar="LEVEL", help="attested, or signed: by its publisher only.")]
Pre = Annotated[bool, typer.Option("--pre", help="Take release candidates too.")]


def install(
    components: Annotated[
        list[str], typer.Argument(metavar="[NAME[@RANGE]]...", help="Default: dteg.lock and the pipelines.")
    ] = [],  # noqa: B006
    locked: Annotated[bool, typer.Option("--locked", help="Exactly what dteg.lock says, else fail.")] = False,
    dry_run: DryRun = False,
    pre: Pre = False,
    min_trust: MinTrust = "attested",
    min_age: MinAge = "0s",
    accept_downgrade: Accept = False,
    registry: Registry = "",
    as_json: AsJson = False,
) -> int:
    """Install components from the marketplace, verified, and write dteg.lock."""
    from dteg.core.errors import ConfigError
    from dteg.marketplace.plan import declared_by_pipelines
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_session

    if locked and components:
        raise ConfigError("--locked installs what dteg.lock says; name no component with it")
    options = _options(pre, min_trust, min_age, accept_downgrade)
    named = [(parse_reference(each), "@" in each) for each in components]
    with open_session(registry) as session, _changing(session, quiet=as_json) as (planner, hold):
        if locked:
            plan = planner.locked(declared_by_pipelines(session.project))
        else:
            plan = planner.plan(named or _all_wanted(planner, session), options)
        _carry_out(session, planner, plan, hold, dry_run=dry_run, as_json=as_json)
    return 0


def update(
    components: Annotated[list[str], typer.Argument(metavar="[NAME]...", help="Default: all.")] = [],  # noqa: B006
    dry_run: DryRun = False,
    pre: Pre = False,
    min_trust: MinTrust = "attested",
    min_age: MinAge = "0s",
    accept_downgrade: Accept = False,
    registry: Registry = "",
    as_json: AsJson = False,
) -> int:
    """Move components to their best release, and say what changes: changelog, capabilities, trust."""
    import dataclasses

    from dteg.core.errors import ConfigError
    from dteg.marketplace.eject import ejected_components
    from dteg.marketplace.plan import find_locked
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_session

    options = _options(pre, min_trust, min_age, accept_downgrade or dry_run)
    options = dataclasses.replace(options, upgrade=True)
    named = [(parse_reference(each), "@" in each) for each in components]
    with open_session(registry) as session, _changing(session, quiet=as_json) as (planner, hold):
        copies = [
            each
            for each in ejected_components(session.project)
            if not named or any(reference.means(each.base.id) for reference, _ in named)
        ]
        copied = {each.base.id for each in copies}
        for reference, _ in named:
            if not any(reference.means(component) for component in copied):
                find_locked(planner.lock, reference)
        if not planner.lock.components and not copies:
            raise ConfigError("nothing to update: dteg.lock has no components")
        wanted = [one for one in named if any(one[0].means(each) for each in planner.lock.components)]
        plan = planner.plan(wanted if named else _all_locked(planner), options)
        _carry_out(session, planner, plan, hold, dry_run=dry_run, as_json=as_json)
        conflicts = sum(
            _update_copy(planner, session, each, options, dry_run=dry_run, quiet=as_json) for each in copies
        )
    return 1 if conflicts else 0


def uninstall(
    components: Annotated[list[str], typer.Argument(metavar="NAME...", help="Which.")],
    force: Annotated[
        bool, typer.Option("--force", help="Also a component that pipelines of the project use.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> int:
    """Remove components, and the packages that only they needed."""
    from dteg.core.project import Project
    from dteg.marketplace.environment import Environment, Installer
    from dteg.marketplace.lockfile import LOCK_NAME, read_lock
    from dteg.marketplace.plan import find_locked
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.transaction import locked, recover
    from dteg.marketplace.uninstall import plan_removal
    from dteg.marketplace.uninstall import uninstall as remove

    project, environment = Project.find(), Environment()
    done = []
    with locked(environment) as hold:
        _say(recover(environment))
        for name in components:
            lock = read_lock(project.root / LOCK_NAME)
            component = find_locked(lock, parse_reference(name))
            removal = plan_removal(component, lock, project, environment)
            if not dry_run:
                remove(removal, lock, project, environment, Installer(environment), hold=hold, force=force)
                environment.forget()
            done.append((removal, lock.registry))
    if not dry_run:
        for removal, url in done:
            _send_receipts(url, [removal.component], removed=True)
    if as_json:
        rows = [{"component": each.component.id, "packages": list(each.packages)} for each, _ in done]
        print(json.dumps({"removed": rows}))
        return 0
    for each, _ in done:
        more = f", and {', '.join(each.packages)}" if each.packages else ""
        print(
            f"{'would remove' if dry_run else 'removed'} {each.component.id} {each.component.version}{more}"
        )
    return 0


def list_components(as_json: AsJson = False) -> int:
    """List the components of dteg.lock, and whether they are installed here."""
    from dteg.cli.transfers import print_table
    from dteg.core.project import Project
    from dteg.marketplace.eject import ejected_components
    from dteg.marketplace.environment import Environment
    from dteg.marketplace.lockfile import LOCK_NAME, read_lock
    from dteg.marketplace.transaction import is_unfinished
    from dteg.marketplace.uninstall import distribution_of

    project, environment = Project.find(), Environment()
    copies = {each.base.id: each for each in ejected_components(project)}
    rows: list[dict[str, Any]] = []
    for each in read_lock(project.root / LOCK_NAME).components.values():
        there = environment.packages.get(distribution_of(each))
        state = "installed" if there and there.version == each.version else "missing"
        if there and there.version != each.version:
            state = f"{there.version} is installed"
        copy = copies.get(each.id)
        rows.append(
            {
                "component": each.id, "version": each.version, "range": each.range, "trust": each.trust,
                "state": state, "capabilities": list(each.capabilities),
                "copy": str(copy.folder.relative_to(project.root)) if copy else None,
            }
        )  # fmt: skip
    if as_json:
        print(json.dumps(rows))
        return 0
    if is_unfinished(environment):
        _say("an install was broken off; dteg install repairs it")
    if not rows:
        print("no components are installed; find some with: dteg search WORDS")
        return 0
    shown = [
        (
            row["component"],
            row["version"],
            row["trust"],
            f"copy in {row['copy']}" if row["copy"] else row["state"],
        )
        for row in rows
    ]
    print_table(("component", "version", "trust", "state"), shown)
    return 0


def eject(
    component: Annotated[str, typer.Argument(metavar="NAME", help="An installed component.")],
    registry: Registry = "",
) -> int:
    """Copy the code of a component into the project, to change it; updates are merged into the copy."""
    from dteg.marketplace.eject import eject as copy_code
    from dteg.marketplace.plan import find_locked
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_session

    with open_session(registry) as session, _changing(session) as (planner, _):
        locked = find_locked(planner.lock, parse_reference(component))
        planned = planner.release_as_locked(locked)
        copy = copy_code(session.project, locked, session.source.origin, planned.wheel, planned.contents)
    print(f"{locked.id} {locked.version} is now in {copy.folder.relative_to(session.project.root)}")
    print("pipelines use this copy; the installed package stays for what it depends on")
    return 0


def mirror(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Empty, or a mirror to bring up to date.")],
    components: Annotated[
        list[str], typer.Argument(metavar="[NAME]...", help="Default: everything that is listed.")
    ] = [],  # noqa: B006
    registry: Registry = "",
) -> int:
    """Copy components with their signatures into a folder, for installs without the registry."""
    from dteg.cli.transfers import transfer_bars
    from dteg.core.clock import utc_now
    from dteg.marketplace.credentials import registry_url
    from dteg.marketplace.mirror import make_mirror
    from dteg.marketplace.references import parse_reference
    from dteg.marketplace.session import open_client
    from dteg.marketplace.source import RegistrySource

    with open_client(registry) as client, transfer_bars() as watch:
        source = RegistrySource(client)
        names = [source.find(parse_reference(each)) for each in components] or source.listed()
        done = make_mirror(source, folder.absolute(), names, utc_now(), watch)
    print(
        f"{folder}: {done.components} components, {done.releases} releases, {done.bytes / 1e6:.1f} MB; "
        f"{done.copied} files were new"
    )
    print(f"install from it with: dteg install --registry {folder.absolute().as_uri()} NAME")
    print(f"it keeps the signatures of {registry_url(registry)}")
    return 0


# --- shared -------------------------------------------------------------------------------------------


@contextmanager
def _changing(session: "Session", *, quiet: bool = False) -> Iterator[tuple["Planner", int]]:
    """Hold the environment, repair what was broken off, and yield a planner with bars."""
    from dteg.cli.transfers import transfer_bars
    from dteg.marketplace.transaction import locked, recover

    with locked(session.environment) as hold:
        _say(recover(session.environment))
        with transfer_bars(quiet=quiet) as watch:
            yield session.planner(watch), hold


def _options(pre: bool, min_trust: str, min_age: str, accept: bool) -> "Options":
    from dteg.core.durations import parse_duration
    from dteg.core.errors import ConfigError
    from dteg.marketplace.plan import Options

    if min_trust not in ("attested", "signed"):
        raise ConfigError(f"--min-trust {min_trust}: use attested or signed")
    try:
        age = timedelta() if min_age == "0" else parse_duration(min_age)
    except ValueError as error:
        raise ConfigError(f"--min-age: {error}") from None
    return Options(pre, min_trust, age, accept)


def _all_wanted(planner: "Planner", session: "Session") -> list[tuple["Reference", bool]]:
    """Return what pipelines declare, and what the lock has beyond that."""
    from dteg.core.errors import ConfigError
    from dteg.marketplace.plan import declared_by_pipelines

    declared = declared_by_pipelines(session.project)
    wanted = [(each, bool(each.range.text)) for each in declared] + _all_locked(planner)
    if not wanted:
        raise ConfigError(
            "nothing to install: dteg.lock has no components, and no pipeline names one; give a NAME"
        )
    return wanted


def _all_locked(planner: "Planner") -> list[tuple["Reference", bool]]:
    from dteg.marketplace.references import parse_reference

    return [(parse_reference(component), False) for component in planner.lock.components]


def _carry_out(
    session: "Session", planner: "Planner", plan: "Plan", hold: int, *, dry_run: bool, as_json: bool
) -> None:
    from dteg.marketplace.install import apply
    from dteg.marketplace.update import plan_json, plan_lines

    packages = dict(session.environment.packages)
    changed: tuple[Planned, ...] = ()
    if not as_json:
        for line in plan_lines(plan, packages):
            print(line, flush=True)
    if not dry_run:
        changed = apply(
            plan, session.project, session.environment, session.installer, planner.pins, hold=hold
        )
        if session.client:
            from dteg.core.clock import utc_now
            from dteg.marketplace import receipts

            receipts.send(session.client, [each.locked for each in changed], utc_now)
    if as_json:
        ids = [each.release.id for each in changed]
        print(json.dumps({**plan_json(plan, packages), "installed": ids, "dry_run": dry_run}))
    elif dry_run:
        print("nothing was changed")
    else:
        same = len(plan.components) - len(changed)
        kept = f", {same} already there" if same else ""
        print(f"installed {len(changed)} of {len(plan.components)} components{kept}; dteg.lock is written")


def _update_copy(
    planner: "Planner", session: "Session", copy: "Ejected", options: "Options", *, dry_run: bool, quiet: bool
) -> int:
    """Merge the best release into a copy; return how many files have conflicts."""
    import shutil

    from dteg.marketplace.eject import component_files, merge_release

    planned = planner.release_for_copy(copy.base, options)
    folder = copy.folder.relative_to(session.project.root)
    if planned.release.version == copy.base.version:
        _say("" if quiet else f"{folder} is made from the best release, {copy.base.version}")
        return 0
    _say(f"{folder}: {copy.base.version} -> {planned.release.version}")
    if dry_run:
        return 0
    base = planner.release_as_locked(copy.base)
    scratch = session.project.state_dir
    merged = merge_release(
        copy, planned.locked, component_files(base.wheel, base.contents, scratch),
        component_files(planned.wheel, planned.contents, scratch), shutil.which("git") or "",
    )  # fmt: skip
    for name in (*merged.write, *merged.delete):
        if name not in merged.conflicts:
            _say(f"  merged {folder / name}")
    for name, what in merged.conflicts.items():
        _say(f"  conflict in {folder / name}: {what}")
    return len(merged.conflicts)


def _send_receipts(url: str, components: list[Any], *, removed: bool) -> None:
    import contextlib

    from dteg.core.clock import utc_now
    from dteg.core.errors import DtegError
    from dteg.marketplace import receipts
    from dteg.marketplace.credentials import checked_url
    from dteg.marketplace.session import open_client

    if not url or not receipts.wanted():
        return
    with contextlib.suppress(DtegError), open_client(checked_url(url)) as client:
        receipts.send(client, components, utc_now, removed=removed)


def _say(text: str) -> None:
    if text:
        typer.echo(text, err=True)
