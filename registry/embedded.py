"""The document server of a registry on one machine: started with it, stopped with it, its data in the data folder.

For trying out and for small teams. It is no MongoDB; a registry that others depend on runs on a real one.
"""

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from dteg.core.document_server import DocumentServer
from dteg.core.errors import EnvironmentProblemError

_USER = "dteg"
_PASSWORD_FILE = "mongodb.password"  # noqa: S105 - the name of a file
_ADDRESS_FILE = "mongodb.address"
_USER_EXISTS = 51003
_DUPLICATE = 11000


@contextlib.contextmanager
def embedded_mongodb(data_dir: Path, database: str, *, join: bool = False) -> Iterator[str]:
    """Run the server and yield its URL, with a password that only who may read `data_dir` can know.

    Args:
        data_dir: Folder of its data and its password.
        database: The only database that the password is good for.
        join: If the server runs already, use that one.

    Raises:
        EnvironmentProblemError: The server is not installed, does not start, or runs for this folder already.
    """
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir.chmod(0o700)
    address_file = data_dir / _ADDRESS_FILE
    with _only_one(data_dir, join) as first:
        if not first:
            yield _url(_password(data_dir, database), address_file.read_text(encoding="ascii"), database)
            return
        password = _password(data_dir, database)
        server = DocumentServer(data_dir / "mongodb", auth=True, durable=True, options=("--standalone",))
        try:
            server.start()
            address_file.write_text(server.address, encoding="ascii")
            yield _url(password, server.address, database)
        finally:
            server.stop()


def _url(password: str, address: str, database: str) -> str:
    return f"mongodb://{_USER}:{password}@{address}/?authSource={database}"


def _password(data_dir: Path, database: str) -> str:
    """Return the password; on the first start make it and the user."""
    path = data_dir / _PASSWORD_FILE
    if path.exists():
        return path.read_text(encoding="ascii").strip()
    password = secrets.token_urlsafe(32)
    # A user can only be made while the server asks for none: once, before the password file says it was done.
    server = DocumentServer(data_dir / "mongodb", durable=True, options=("--standalone",))
    try:
        server.start()
        _make_user(server.address, database, password)
    finally:
        server.stop()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(password)
        file.flush()
        os.fsync(descriptor)
    return password


def _make_user(address: str, database: str, password: str) -> None:
    with MongoClient[dict[str, object]](f"mongodb://{address}", serverSelectionTimeoutMS=5_000) as client:
        roles = [{"role": "readWrite", "db": database}, {"role": "dbAdmin", "db": database}]
        try:
            client[database].command("createUser", _USER, pwd=password, roles=roles)
        except OperationFailure as error:  # DuplicateKeyError is one
            if error.code not in (_USER_EXISTS, _DUPLICATE):
                raise
            # A first start was cut off before the password was kept.
            client[database].command("updateUser", _USER, pwd=password, roles=roles)


@contextlib.contextmanager
def _only_one(data_dir: Path, join: bool) -> Iterator[bool]:
    """Yield True while nobody else runs the server; False if somebody does and that is fine."""
    with (data_dir / "mongodb.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if join and (data_dir / _ADDRESS_FILE).exists():
                yield False
                return
            raise EnvironmentProblemError(
                f"a registry already runs on {data_dir}; stop it, or give another --data-dir"
            ) from None
        yield True
