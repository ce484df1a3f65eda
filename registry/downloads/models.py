"""Downloads, installs, and what clients send and get about them."""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from registry.documents import Answer, Body, Document, Line
from registry.parameters import COMPONENT_PATTERN, VERSION_PATTERN


class DownloadKind(StrEnum):
    """What fetched a file."""

    DTEG = "dteg"
    UV = "uv"
    PIP = "pip"
    BROWSER = "browser"
    MIRROR = "mirror"
    OTHER = "other"

    @classmethod
    def of(cls, text: str) -> "DownloadKind":
        """Return the kind of that name."""
        return cls(text) if text in set(cls) else cls.OTHER

    @classmethod
    def of_agent(cls, user_agent: str) -> "DownloadKind":
        """Guess from the header `User-Agent`; anybody can write anything there, so this is for charts only."""
        text = user_agent.lower()
        for start, kind in _AGENTS.items():
            if text.startswith(start):
                return kind
        return cls.OTHER


_AGENTS = {
    "dteg-mirror/": DownloadKind.MIRROR,
    "dteg/": DownloadKind.DTEG,
    "uv/": DownloadKind.UV,
    "pip/": DownloadKind.PIP,
    "bandersnatch/": DownloadKind.MIRROR,
    "mozilla/": DownloadKind.BROWSER,
}
# Mirrors fetch everything there is, whether somebody wants it or not.
PEOPLE = tuple(kind for kind in DownloadKind if kind is not DownloadKind.MIRROR)


class Install(Document):
    """One component in one installation; its id is `install|component`.

    Attributes:
        component: `namespace/slug`.
        install_id: Id of the installation's key.
        user_id: The first account that sent a receipt of it; "" when nobody was logged in.
        version: What is installed now.
        first_seen: First receipt.
        last_seen: Newest receipt.
        told_at: Time inside the newest receipt: an older one changes nothing.
        environment: What it tells of its machine.
        ok_runs: Successful runs so far.
        removed_at: When it was uninstalled.
        kept: Whether it was still there 30 days after the first receipt.
        source: Keyed hash of day and address, to see floods; the address itself is not kept.
        counted: Whether it is one of the installs shown; not, if its address sent too many new keys that day.
    """

    component: str
    install_id: str
    user_id: str = ""
    version: str
    first_seen: datetime
    last_seen: datetime
    told_at: datetime
    environment: dict[str, str] = Field(default={})
    ok_runs: int = 0
    removed_at: datetime | None = None
    kept: bool = False
    source: str = ""
    counted: bool = True


class DownloadSummary(Answer):
    """How much a component is used.

    Attributes:
        total: Downloads ever, without mirrors.
        last_30_days: Downloads of today and the 29 days before, without mirrors.
        installs: Installations that have sent a receipt, each counted once.
        kept_rate: Part of the installations older than 30 days that were still there after 30; None without any.
    """

    total: int = 0
    last_30_days: int = 0
    installs: int = 0
    kept_rate: float | None = None


class Day(Answer):
    """Downloads of one day.

    Attributes:
        day: In UTC.
        downloads: Without mirrors.
        by_kind: By what fetched them, mirrors too.
    """

    day: date
    downloads: int
    by_kind: dict[str, int]


class DownloadsAnswer(DownloadSummary):
    """How much a component is used, and day by day."""

    days: list[Day]


class ReceiptBody(Body):
    """A receipt: see `dteg.receipts`."""

    public_key: Annotated[Line, Field(pattern=r"^[A-Za-z0-9+/]{43}=$")] = Field(
        description="Base64 of the installation's Ed25519 public key."
    )
    envelope: dict[str, Any] = Field(
        description="DSSE envelope of an in-toto statement of the type https://dteg.dev/attestation/install/v1."
    )


class Receipt(Body):
    """What the signed statement says."""

    component: str = Field(pattern=COMPONENT_PATTERN, max_length=140)
    version: str = Field(pattern=VERSION_PATTERN)
    install_id: str = Field(pattern=r"^[0-9a-f]{64}$")
    environment: dict[
        Annotated[str, Field(pattern=r"^[a-z_]{1,30}$")], Annotated[Line, Field(max_length=64)]
    ] = Field({}, max_length=10)
    ok_runs: int = Field(0, ge=0, le=10**9)
    removed: bool = False
    at: AwareDatetime


class InstallAnswer(Answer):
    """What is known of an installation now.

    Attributes:
        may_review: Whether the account that sent the receipt may review the component, for this installation.
    """

    component: str
    version: str
    install_id: str
    first_seen: datetime
    last_seen: datetime
    ok_runs: int
    may_review: bool
