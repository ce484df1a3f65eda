"""Secrets of tokens, and the key that signs logins."""

import hashlib
import os
import re
import secrets
from pathlib import Path

_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BYTES = 32
_DIGITS = 43  # 62**43 > 2**256
_FORM = re.compile(r"dteg_([0-9a-z]{26})_([0-9A-Za-z]{43})")
KEY_FILE = "login.key"


def make_secret(token_id: str) -> str:
    """Return `dteg_<id>_<32 random bytes>`: scanners of leaked secrets know it by its form."""
    number = int.from_bytes(secrets.token_bytes(_SECRET_BYTES), "big")
    digits = []
    for _ in range(_DIGITS):
        number, rest = divmod(number, 62)
        digits.append(_BASE62[rest])
    return f"dteg_{token_id}_{''.join(digits)}"


def id_of(secret: str) -> str | None:
    """Return the id inside a token's secret; None if it is not of that form."""
    match = _FORM.fullmatch(secret)
    return match[1] if match else None


def hash_of(secret: str) -> str:
    """Return what is kept. A plain hash is enough: nobody guesses 256 random bits."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def signing_key(data_dir: Path) -> bytes:
    """Return the key that signs logins, made on first use; all workers and restarts share it."""
    path = data_dir / KEY_FILE
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        fresh = path.with_name(f".{KEY_FILE}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
            file.flush()
            os.fsync(descriptor)
        try:
            os.link(fresh, path)  # unlike a rename, this lets the first of two processes win
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_bytes()
