"""Receipts of installs: an installation tells a registry what it has, signed by a key of its own.

The key says nothing of who or where; it only makes two tellings of one installation one. `POST /installs` takes what
`receipt` returns. An installation that sends one now and then, after successful runs or at `dteg update`, also tells
that the component is still in use.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dteg.signing import SigningKey, statement

INSTALL = "https://dteg.dev/attestation/install/v1"


def receipt(
    key: SigningKey,
    *,
    component: str,
    version: str,
    sha256: str,
    at: datetime,
    environment: Mapping[str, str] | None = None,
    ok_runs: int = 0,
    removed: bool = False,
) -> dict[str, Any]:
    """Return the body of `POST /installs`.

    Args:
        key: The installation's own key; the same for all components.
        component: `namespace/slug`.
        version: Installed version.
        sha256: Hash of the installed file.
        at: Now; a receipt that is older than some minutes is refused.
        environment: What may be told of the machine: `dteg`, `python`, `system`; at most 10 short texts.
        ok_runs: How many runs with it have succeeded so far.
        removed: Whether it has just been uninstalled.
    """
    said = {
        "component": component, "version": version, "install_id": key.key_id, "environment": dict(environment or {}),
        "ok_runs": ok_runs, "removed": removed, "at": at.isoformat(),
    }  # fmt: skip
    envelope = key.sign(statement(f"{component}@{version}", sha256, INSTALL, said))
    return {"public_key": key.public, "envelope": envelope}
