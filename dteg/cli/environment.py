"""`dteg info`, `dteg doctor`, `dteg stop`: the project's servers and what this machine has."""

import json
import os
from typing import Annotated, Any

import typer


def info(
    component: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A component of the marketplace; default: this project.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    registry: Annotated[
        str, typer.Option("--registry", metavar="URL", help="Registry; default: DTEG_REGISTRY_URL.")
    ] = "",
) -> int:
    """Show where the project, its warehouse and its state are; with a name, a component of the marketplace."""
    if component:
        from dteg.cli.marketplace import show_component

        return show_component(component, registry, as_json)
    from dteg import __version__
    from dteg.core.processes import registered
    from dteg.core.project import Project
    from dteg.core.secrets import redact

    project = Project.find()
    data: dict[str, Any] = {
        "version": __version__,
        "project": str(project.root),
        "postgres_url": redact(_url(project)),
        "embedded": project.uses_embedded_postgres,
        "dagster_home": str(project.dagster_home),
        "servers": [
            {"name": server.name, "pid": server.pid, "port": server.port} for server in registered(project)
        ],
    }
    if as_json:
        print(json.dumps(data))
        return 0
    for key, value in data.items():
        print(f"{key:<14} {value}")
    return 0


def _url(project: Any) -> str:
    """Return the warehouse's URL without starting the embedded server."""
    from dteg.core.embedded import EmbeddedPostgres
    from dteg.core.project import POSTGRES_URL_VARIABLE

    if url := os.environ.get(POSTGRES_URL_VARIABLE):
        return url
    return EmbeddedPostgres.of(project).url()


def stop(
    remove_data: Annotated[
        bool, typer.Option("--remove-data", help="Delete the embedded database's data too.")
    ] = False,
) -> int:
    """End every server that this project started."""
    from dteg.core.processes import stop_all
    from dteg.core.project import Project

    project = Project.find()
    names = stop_all(project)
    print(f"stopped: {', '.join(names)}" if names else "nothing was running")
    if remove_data and project.uses_embedded_postgres:
        from dteg.core.embedded import EmbeddedPostgres

        EmbeddedPostgres.of(project).remove()
        print("removed the data of the embedded PostgreSQL")
    return 0


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> int:
    """Say what is missing on this machine, and the command that mends it."""
    from dteg.core.doctor import diagnose

    findings = diagnose()
    if as_json:
        print(json.dumps([finding.to_json() for finding in findings]))
    else:
        for finding in findings:
            print(
                f"{'ok' if finding.ok else 'missing' if finding.needed else 'optional':<9} {finding.name}: {finding.message}"
            )
            if not finding.ok:
                print(f"{'':<9} mend it with: {finding.remedy}")
    return 3 if any(finding.needed and not finding.ok for finding in findings) else 0
