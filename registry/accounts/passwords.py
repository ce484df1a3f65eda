"""Which passwords are taken, and how they are kept."""

import asyncio
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from dteg.core.errors import InputError

MIN_LENGTH = 12
# OWASP's minimum for argon2id: 19 MiB, two passes. A check takes about 25 ms of one core.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_AT_ONCE = 4  # bounds the memory that a flood of logins can take

# Of at least the minimum length, from public lists of the commonest; compared without digits and signs at the end.
_COMMONEST = frozenset(
    """
    abcdefghijkl administrator changemeplease correcthorsebatterystaple iloveyouforever letmeinletmein
    passwordpassword qwertyqwerty qwertyuiop qwertyuiopasdf unbelievable welcomewelcome
    password administrator letmein welcome qwerty iloveyou dragon monkey football baseball superman trustno
    princess sunshine master shadow changeme secret admin login abc asdfghjkl zxcvbnm
    """.split()  # noqa: SIM905 - words read better as a text
)


def check_policy(password: str, login: str, email: str = "") -> None:
    """Refuse what is guessed first.

    Raises:
        InputError: With what is wrong; never with the password.
    """
    lowered = password.lower()
    core = lowered.rstrip("0123456789!@#$%^&*?.,-_+= ")
    if len(password) < MIN_LENGTH:
        raise InputError(f"the password needs at least {MIN_LENGTH} characters")
    if len(set(lowered)) < 5 or core in _COMMONEST or not core.strip():
        raise InputError("this password is among the first that are tried: choose another")
    if login in (core, lowered) or (email and email.partition("@")[0] == core) or core == login * 2:
        raise InputError("the password must not be the login")


class Passwords:
    """Hashes and checks passwords without holding up others.

    Args:
        hasher: How; tests take one that costs less.
    """

    def __init__(self, hasher: PasswordHasher = _HASHER) -> None:
        self._hasher = hasher
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def hash(self, password: str) -> str:
        """Return what is kept."""
        async with self._slots:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def matches(self, kept: str, password: str) -> bool:
        """Return whether a password is the kept one; without a kept one it takes as long."""
        async with self._slots:
            return await asyncio.to_thread(_matches, self._hasher, kept, password)

    def is_outdated(self, kept: str) -> bool:
        """Return whether the kept hash is weaker than what is made today."""
        return self._hasher.check_needs_rehash(kept)


@cache
def _nobodys(hasher: PasswordHasher) -> str:
    return hasher.hash("the password of nobody")


def _matches(hasher: PasswordHasher, kept: str, password: str) -> bool:
    try:
        hasher.verify(kept or _nobodys(hasher), password)
        return bool(kept)
    except (VerificationError, InvalidHashError):
        return False
