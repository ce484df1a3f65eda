"""What a backup is, and what is asked of it."""

import re
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from dteg.core.config import ConfigModel
from dteg.core.errors import ConfigError
from dteg.core.secrets import ConnectionUrl

FORMAT = 1
ID = re.compile(r"[a-z0-9_-]{1,40}-\d{8}T\d{6}Z-[0-9a-f]{6}")
BackupId = Annotated[str, Field(pattern=f"^{ID.pattern}$", description="Name of a backup.")]


class Engine(StrEnum):
    """Kind of server."""

    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"


class FileInfo(ConfigModel):
    """One file of a backup."""

    name: str = Field(description="Its name beside the manifest.")
    bytes: int = Field(description="Its size.")
    sha256: str = Field(description="Its hash, hexadecimal.")


class Encryption(ConfigModel):
    """How a backup is encrypted."""

    cipher: Literal["AES-256-GCM"] = Field("AES-256-GCM", description="How frames are sealed.")
    key_id: str = Field(description="Which key opens it.")
    wrapped_key: str = Field(description="The backup's own key, encrypted with that one; base64.")


class RoleInfo(ConfigModel):
    """A role that owns or may use something in the database."""

    name: str = Field(description="Its name.")
    login: bool = Field(description="Whether it may log in.")
    member_of: tuple[str, ...] = Field((), description="Roles whose rights it has.")


class DatabaseInfo(ConfigModel):
    """What belongs to the database itself and no dump of it restores into another name."""

    owner: str = Field("", description="Role that owns it.")
    encoding: str = Field("UTF8", description="Character set.")
    collate: str = Field("", description="Sorting order.")
    ctype: str = Field("", description="Kinds of characters.")
    locale_provider: str = Field("", description="`c`, `i` (ICU) or `b` (built in).")
    locale: str = Field("", description="Locale of ICU or the built-in provider.")
    comment: str = Field("", description="Its comment.")
    settings: tuple[tuple[str, str, str], ...] = Field((), description="Role or empty, setting, value.")
    grants: tuple[tuple[str, str, bool], ...] = Field((), description="Role, privilege, may be passed on.")


class Manifest(ConfigModel):
    """What a backup says of itself, signed."""

    format: int = Field(FORMAT, description="Version of this form.")
    id: BackupId
    database: str = Field(description="Which database.")
    engine: Engine = Field(description="Kind of server.")
    source: str = Field("", description="How a database of another server was named: without a secret.")
    server_version: str = Field(description="Version of the server.")
    dump_version: str = Field(description="Version of the program that dumped.")
    dteg_version: str = Field(description="Version of dteg.")
    started_at: datetime = Field(description="When the snapshot was taken, UTC.")
    finished_at: datetime = Field(description="When the last byte was written, UTC.")
    content_bytes: int = Field(description="Size of the dump before compression.")
    files: tuple[FileInfo, ...] = Field(description="`data` is the dump, `contents` its tables and objects.")
    tables: int = Field(description="Number of tables.")
    rows: int = Field(description="Rows of all tables.")
    encryption: Encryption | None = Field(None, description="None if it is not encrypted.")
    properties: DatabaseInfo = Field(DatabaseInfo(), description="What belongs to the database itself.")
    roles: tuple[RoleInfo, ...] = Field((), description="Roles that have to be there for a restore.")
    extensions: dict[str, str] = Field({}, description="Extensions and their versions.")
    warnings: tuple[str, ...] = Field((), description="What the dump complained about or leaves out.")

    @model_validator(mode="after")
    def _known(self) -> Self:
        if self.format != FORMAT:
            raise ValueError(f"this backup has form {self.format}; this dteg knows {FORMAT}: update dteg")
        if {each.name for each in self.files} != {"data", "contents"}:
            raise ValueError("a backup has the files data and contents")
        return self

    def file(self, name: str) -> FileInfo:
        """Return one of its files."""
        return next(each for each in self.files if each.name == name)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(each.bytes for each in self.files)


class Backup(ConfigModel):
    """A backup in the catalogue."""

    id: BackupId
    database: str = Field(description="Which database.")
    engine: Engine = Field(description="Kind of server.")
    target: str = Field(description="Where it lies, as a URI without secrets.")
    source: str = Field("", description="How a database of another server was named: without a secret.")
    started_at: datetime = Field(description="When its snapshot was taken, UTC.")
    finished_at: datetime = Field(description="When it was whole, UTC.")
    bytes: int = Field(description="Size as stored.")
    content_bytes: int = Field(description="Size before compression.")
    tables: int = Field(description="Number of tables.")
    rows: int = Field(description="Rows of all tables.")
    encrypted: bool = Field(description="Whether it is encrypted.")
    key_id: str = Field("", description="Which key opens it.")
    verified_at: datetime | None = Field(
        None, description="When it was last read whole and found right, UTC."
    )
    restore_verified_at: datetime | None = Field(
        None, description="When it was last restored and compared, UTC."
    )

    @property
    def is_verified(self) -> bool:
        """Whether it was ever read whole or restored, and found right."""
        return bool(self.verified_at or self.restore_verified_at)


class NewBackup(ConfigModel):
    """What shall be backed up."""

    database: ConnectionUrl = Field(
        description="A database of the warehouse's server, a `mysql://` URL, or `secret://env/NAME`."
    )
    to: str = Field(
        "", description="file:///folder, s3://, gs://, az:// or sftp://; default: the project's place."
    )
    encrypt: bool = Field(False, description="Encrypt with AES-256-GCM.")
    key: str = Field("", description="The key as a secret reference; default: a key file made on first use.")

    @model_validator(mode="after")
    def _clean(self) -> Self:
        check_reference(self.key)
        if self.key and not self.encrypt:
            raise ValueError("a key is given, but the backup shall not be encrypted: add --encrypt")
        return self


class RestoreOrder(ConfigModel):
    """What shall be restored, and into what."""

    id: BackupId
    into: str = Field(min_length=1, max_length=63, description="Name of the database that is made.")
    swap: bool = Field(
        False, description="Put it in the place of a database that is there; that one is kept."
    )
    no_owner: bool = Field(False, description="Leave out owners and grants.")
    source: str = Field("", description="Where the backup lies; default: where the catalogue says.")
    server: ConnectionUrl | Literal[""] = Field(
        "", description="A server other than the warehouse's, as a URL or secret reference; MariaDB needs it."
    )
    key: str = Field("", description="The key as a secret reference, if it is not the project's.")
    jobs: int = Field(
        0, ge=0, le=64, description="Parallel jobs of pg_restore; 0: as many as there are cores."
    )

    @model_validator(mode="after")
    def _clean(self) -> Self:
        check_reference(self.key)
        return self


class Restored(ConfigModel):
    """What a restore did."""

    id: BackupId
    database: str = Field(description="The database that was made.")
    kept: str = Field("", description="With swap: the name that the old database has now.")
    tables: int = Field(description="Tables that were compared and found equal.")
    rows: int = Field(description="Their rows.")
    seconds: float = Field(description="How long it took.")
    compare_seconds: float = Field(0, description="How much of that went into comparing.")
    notes: tuple[str, ...] = Field((), description="What is different on purpose.")


class Verified(ConfigModel):
    """What a verification found: it raises if something is wrong."""

    id: BackupId
    restored: bool = Field(description="Whether it was restored and compared, too.")
    bytes: int = Field(description="Bytes read.")
    tables: int = Field(description="Tables compared.")
    rows: int = Field(description="Their rows.")
    seconds: float = Field(description="How long it took.")


class Keep(ConfigModel):
    """How many backups of each age are kept: the newest of each of the last N days, weeks, months and years."""

    daily: int = Field(7, ge=0, le=10_000)
    weekly: int = Field(5, ge=0, le=10_000)
    monthly: int = Field(12, ge=0, le=10_000)
    yearly: int = Field(5, ge=0, le=10_000)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `daily=7,weekly=5`; what is not named is 0.

        Raises:
            ConfigError: Not of that form.
        """
        known = list(cls.model_fields)
        found = dict.fromkeys(known, 0)
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, _, number = part.partition("=")
            if name.strip() not in found or not number.strip().isdecimal():
                raise ConfigError(
                    f"--keep {text}: write numbers of {', '.join(known)}, such as daily=7,weekly=5"
                )
            found[name.strip()] = int(number)
        if not any(found.values()):
            raise ConfigError("--keep would keep nothing; name at least one number above 0")
        return cls(**found)


class Pruned(ConfigModel):
    """What prune did, or with `dry_run` would do."""

    dry_run: bool = Field(description="Whether nothing was deleted.")
    deleted: tuple[Backup, ...] = Field(description="What goes.")
    kept: dict[str, tuple[str, ...]] = Field(description="What stays: id and why.")


class JobKind(StrEnum):
    """What a job does."""

    CREATE = "create"
    RESTORE = "restore"
    VERIFY = "verify"


class JobState(StrEnum):
    """How far a job is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


class Job(ConfigModel):
    """A piece of work that takes a while."""

    id: str = Field(description="Its name.")
    kind: JobKind = Field(description="What it does.")
    subject: str = Field(description="Database or backup.")
    state: JobState = Field(description="How far it is.")
    phase: str = Field("", description="What it does now.")
    done_bytes: int = Field(0, description="Bytes of the dump that have passed.")
    total_bytes: int = Field(0, description="About how many there will be; 0 if nobody knows.")
    started_at: datetime = Field(description="UTC.")
    updated_at: datetime = Field(description="UTC; a job that runs says so every few seconds.")
    code: str = Field("", description="Name of the error, if it failed.")
    error: str = Field("", description="What went wrong.")
    result: dict[str, Any] = Field({}, description="What came out of it.")


def check_reference(key: str) -> None:
    """Refuse a key that is written out: it would be in the shell's history and in logs."""
    if key and not key.startswith("secret://"):
        raise ValueError("name the key as a secret reference such as secret://env/NAME, not the key itself")
