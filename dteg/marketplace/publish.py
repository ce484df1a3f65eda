"""Publishes a component: wheel, signature, upload, and what the registry's gates say."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from dteg.core.clock import Clock, utc_now
from dteg.core.errors import ConfigError, UnavailableError
from dteg.core.places import config_dir
from dteg.marketplace.client import Progress, RegistryClient
from dteg.marketplace.records import Text
from dteg.packages import WheelContents
from dteg.signing import PUBLISH, SigningKey, statement

KEY_VARIABLE = "DTEG_SIGNING_KEY"
_WAIT_S = 20
_UNDECIDED = ("pending", "testing")


class Finding(BaseModel):
    """One thing that a gate found."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    rule: Text = ""
    severity: Text = ""
    message: Text = ""
    file: Text = ""
    line: int | None = None
    remedy: Text = ""

    def __str__(self) -> str:
        """Render as `file:line: message; remedy [rule]`."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        text = "; ".join(filter(None, [self.message, self.remedy]))
        return f"{place + ': ' if place else ''}{text} [{self.rule}]"


class GateOutcome(BaseModel):
    """What one gate of the registry says."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    gate: Text
    status: Text
    summary: Text = ""
    findings: list[Finding] = []
    duration_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a publish ended.

    Attributes:
        state: Of the release.
        reason: Why.
        score: 0 to 100; None without.
    """

    state: str
    reason: str
    score: float | None


def key_path(namespace: str) -> Path:
    """Return where the signing key of a namespace lies: DTEG_SIGNING_KEY, else in this user's configuration."""
    if given := os.environ.get(KEY_VARIABLE):
        return Path(given).expanduser()
    return config_dir() / "keys" / f"{namespace}.pem"


def load_key(namespace: str) -> SigningKey:
    """Return the signing key of a namespace.

    Raises:
        ConfigError: There is none; says the command that makes one.
    """
    path = key_path(namespace)
    if not path.exists():
        raise ConfigError(
            f"there is no signing key for {namespace} ({path}); make and register one with: dteg key create {namespace}"
        )
    return SigningKey.load(path)


def publish_envelope(contents: WheelContents, key: SigningKey, clock: Clock = utc_now) -> dict[str, Any]:
    """Return the publisher's signature over a wheel."""
    manifest = contents.manifest
    said = {
        "component": f"{manifest.namespace}/{manifest.slug}", "version": manifest.version, "at": clock().isoformat(),
    }  # fmt: skip
    return key.sign(statement(contents.filename, contents.sha256, PUBLISH, said))


def upload(
    client: RegistryClient, wheel: Path, envelope: dict[str, Any], progress: Progress | None = None
) -> tuple[str, str]:
    """Send a wheel and its signature; return component and version that the registry took in.

    Raises:
        ConflictError: The version is there already.
        DeniedError: Not logged in, or no right to publish there.
    """
    answer = client.upload("/releases", wheel, {"signature": json.dumps(envelope)}, progress)
    return str(answer["component"]), str(answer["version"])


def follow_gates(
    client: RegistryClient, component: str, version: str, clock: Callable[[], float], timeout_s: float
) -> Iterator[GateOutcome | Verdict]:
    """Yield what each gate says as it ends, and the verdict at last.

    Args:
        client: The registry.
        component: `namespace/slug`.
        version: Its version.
        clock: Seconds that only grow.
        timeout_s: When to give up waiting; the gates go on all the same.

    Raises:
        UnavailableError: No verdict in time.
    """
    path = f"/components/{component}/releases/{version}/gates"
    seen, end = 0, clock() + timeout_s
    while clock() < end:
        try:
            answer = client.get(path, after=str(seen), wait_s=_WAIT_S)
        except UnavailableError:
            continue  # a registry that restarts takes the gates up again; the client has waited already
        for result in answer["results"]:
            yield GateOutcome.model_validate(result)
        seen = int(answer["next"])
        if answer["state"] not in _UNDECIDED and not answer["results"]:
            yield Verdict(answer["state"], str(answer.get("reason") or ""), answer.get("score"))
            return
    raise UnavailableError(
        f"no verdict about {component}@{version} within {timeout_s:.0f} s; the gates go on: dteg info {component}"
    )
