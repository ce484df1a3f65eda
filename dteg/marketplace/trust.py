"""Whether a release is who it says it is, and whether it is trusted less than what it would replace.

Two signatures over the hash of the wheel: the publisher's ("I publish this") and the registry's ("it passed the
gates"). Keys are remembered when first seen, so that a registry that is taken over cannot exchange them unnoticed.
"""

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dteg.core.errors import ConfigError
from dteg.core.places import config_dir, write_private
from dteg.marketplace.lockfile import LockedComponent
from dteg.marketplace.records import Key, Release
from dteg.marketplace.source import Source
from dteg.signing import GATES, PUBLISH, Attested, SignatureError, digest, key_id_of, verify_about

LEVELS = ("none", "signed", "attested")
"""From the weakest to the strongest: no signature; the publisher's; the publisher's and the registry's."""


class TrustError(SignatureError):
    """A release is trusted less than it must be: read why, and decide.

    Attributes:
        losses: What is weaker than before.
    """

    def __init__(self, message: str, losses: Iterable[str] = ()) -> None:
        """Remember the differences."""
        self.losses = tuple(losses)
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the signatures of one release say, after checking them.

    Attributes:
        level: One of `LEVELS`.
        publisher: Key of the publisher as (key id, public key).
        registry: Key of the registry, likewise.
        signature: Digest of the publisher's envelope.
        attestation: Digest of the registry's envelope.
        changes: Keys that are not the ones remembered, in words.
    """

    level: str
    publisher: tuple[str, str] = ("", "")
    registry: tuple[str, str] = ("", "")
    signature: str = ""
    attestation: str = ""
    changes: tuple[str, ...] = ()


@dataclass
class Pins:
    """Keys that were seen first, of one registry.

    Attributes:
        origin: The registry.
        registry: Its own keys, public by key id.
        publishers: Keys of each namespace.
    """

    origin: str
    registry: dict[str, str] = field(default_factory=dict)
    publishers: dict[str, dict[str, str]] = field(default_factory=dict)

    @classmethod
    def load(cls, origin: str) -> "Pins":
        """Read what is remembered of a registry.

        Raises:
            ConfigError: The file is damaged.
        """
        entry = _read_pins().get(origin, {})
        try:
            pins = cls(origin, dict(entry.get("registry", {})), dict(entry.get("publishers", {})))
            for keys in (pins.registry, *pins.publishers.values()):
                if any(key_id_of(public) != key_id for key_id, public in keys.items()):
                    raise ConfigError(_DAMAGED)
        except (AttributeError, TypeError, ValueError, SignatureError):
            raise ConfigError(_DAMAGED) from None
        return pins

    def remember(self, component: str, proof: Proof) -> None:
        """Take over the keys of a release that was accepted."""
        if proof.publisher[0]:
            self.publishers.setdefault(component.partition("/")[0], {})[proof.publisher[0]] = proof.publisher[
                1
            ]
        if proof.registry[0]:
            self.registry[proof.registry[0]] = proof.registry[1]

    def save(self) -> None:
        """Write them down, if they changed."""
        found = _read_pins()
        entry = {"registry": self.registry, "publishers": self.publishers}
        if found.get(self.origin) != entry and (self.registry or self.publishers):
            write_private(config_dir() / "trust.json", json.dumps({**found, self.origin: entry}, indent=1))


_DAMAGED = "the file of remembered keys (trust.json in dteg's configuration) is damaged; restore or delete it"


def _read_pins() -> dict[str, Any]:
    try:
        found = json.loads((config_dir() / "trust.json").read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise ConfigError(_DAMAGED) from None
    if not isinstance(found, dict):
        raise ConfigError(_DAMAGED)
    return found


def prove(source: Source, release: Release, pins: Pins, digests: Iterable[str] = ()) -> Proof:
    """Check the signatures of a release.

    Args:
        source: Where to ask for envelopes and keys.
        release: What it is said to be; its hash is the one of the file.
        pins: The keys remembered so far.
        digests: Envelopes to prefer when there are several, such as those that a lock file names.

    Raises:
        SignatureError: A signature is there but does not hold, or its key was revoked before.
    """
    envelopes = source.attestations(release)
    namespace = release.component.partition("/")[0]
    published = _find(envelopes, PUBLISH, set(digests))
    gates = _find(envelopes, GATES, set(digests))
    if not published:
        return Proof("none")
    known = pins.publishers.get(namespace, {})
    said, key, change = _check(
        published,
        release,
        PUBLISH,
        known=known,
        offered=source.publisher_keys(namespace),
        whose=f"the publisher {namespace}",
    )
    _agrees(said, release)
    changes = [change] if change else []
    if not gates:
        return Proof("signed", key, signature=digest(published[0]), changes=tuple(changes))
    proved, registry, change = _check(
        gates, release, GATES, known=pins.registry, offered=source.registry_keys(), whose="the registry"
    )
    _agrees(proved, release)
    if proved.predicate.get("passed") is not True:
        raise SignatureError(f"{release.id}: the registry's attestation says that the gates were not passed")
    changes += [change] if change else []
    return Proof("attested", key, registry, digest(published[0]), digest(gates[0]), tuple(changes))


def _find(
    envelopes: Iterable[Mapping[str, Any]], predicate_type: str, wanted: set[str]
) -> list[Mapping[str, Any]]:
    """Return the envelopes that claim to say something: wanted ones first, then the newest, which comes last."""
    found = [each for each in envelopes if _claimed(each) == predicate_type][::-1]
    return sorted(found, key=lambda each: digest(each) not in wanted)


def _claimed(envelope: Mapping[str, Any]) -> str:
    """Return what an envelope says it is, unchecked."""
    try:
        return str(json.loads(base64.b64decode(envelope["payload"]))["predicateType"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return ""


def _check(
    envelopes: list[Mapping[str, Any]], release: Release, predicate_type: str, *,
    known: Mapping[str, str], offered: list[Key], whose: str,
) -> tuple[Attested, tuple[str, str], str]:  # fmt: skip
    """Check an envelope with remembered keys first, then with those that the source offers."""
    keys = {key.key_id: key for key in offered}
    try:
        said = verify_about(envelopes[0], known, predicate_type=predicate_type, sha256=release.sha256)
    except SignatureError:
        good = {key.key_id: key.public_key for key in offered if key.good_at(release.published_at)}
        try:
            said = verify_about(envelopes[0], good, predicate_type=predicate_type, sha256=release.sha256)
        except SignatureError as error:
            raise SignatureError(f"{release.id}: signature of {whose}: {error}") from None
        public = good[said.key_id]
        change = ""
        if known:
            before = ", ".join(key_id[:16] for key_id in sorted(known))
            change = f"{whose} signs with another key ({said.key_id[:16]}; known: {before})"
        return said, (said.key_id, public), change
    ended = keys.get(said.key_id)
    if ended and not ended.good_at(release.published_at):
        raise SignatureError(f"{release.id}: {whose} revoked the key {said.key_id[:16]} that signed it")
    return said, (said.key_id, known[said.key_id]), ""


def _agrees(said: Attested, release: Release) -> None:
    """A signature for one release must not be shown for another."""
    for name, value in (("component", release.component), ("version", release.version)):
        if said.predicate.get(name, value) != value:
            raise SignatureError(
                f"{release.id}: the signature is for {name} {str(said.predicate[name])[:100]!r}"
            )
    if said.filename != release.filename:
        raise SignatureError(f"{release.id}: the signature is for the file {said.filename[:100]!r}")


def losses(before: LockedComponent | None, proof: Proof, capabilities: Iterable[str]) -> list[str]:
    """Say what would be trusted less than before; nothing for a first install with known keys."""
    found = list(proof.changes)
    if before is None:
        return found
    if LEVELS.index(proof.level) < LEVELS.index(before.trust):
        missing = (
            "the publisher's signature" if proof.level == "none" else "the registry's proof of its gates"
        )
        found.append(f"{missing} is missing; {before.version} had it")
    if before.key_id and proof.publisher[0] and before.key_id != proof.publisher[0] and not proof.changes:
        found.append(
            f"signed with the key {proof.publisher[0][:16]}; {before.version} with {before.key_id[:16]}"
        )
    added = sorted(set(capabilities) - set(before.capabilities))
    found += [f"wants the capability {name}, which {before.version} did not" for name in added]
    return found


def require(
    release: Release, proof: Proof, found: list[str], *, least: str, before: LockedComponent | None, accept: bool
) -> None:  # fmt: skip
    """Refuse a release that is trusted too little.

    Args:
        release: The release.
        proof: What its signatures say.
        found: What `losses` said.
        least: Weakest level for what is new.
        before: What it would replace.
        accept: Whether the user has seen the differences and wants it all the same.

    Raises:
        TrustError: It is refused.
    """
    if found and not accept:
        lines = "\n".join(f"  - {each}" for each in found)
        raise TrustError(
            f"{release.id} is trusted less than before:\n{lines}\n"
            "if you know why, and want it: --accept-downgrade",
            found,
        )
    if LEVELS.index(proof.level) < LEVELS.index(least) and not (accept and before):
        have = {"none": "no signature at all", "signed": "its publisher's signature only"}[proof.level]
        raise TrustError(
            f"{release.id} has {have}, and {least} is asked for; "
            + (f"take it with --min-trust {proof.level}" if proof.level != "none" else "it is not installed")
        )
