import asyncio
import time

import pytest

from dteg.core.errors import InputError
from registry.accounts.passwords import Passwords, check_policy


@pytest.mark.parametrize(
    "password",
    ["", "short", "elevenchars", "aaaaaaaaaaaaaaaa", "password12345!", "PasswordPassword", "qwertyuiop12", "123456789012",
     "ada-lovelace", "Ada-Lovelace1815", "ada.l1234567"],
)  # fmt: skip
def test_easy_passwords_are_refused_without_being_repeated(password):
    with pytest.raises(InputError) as caught:
        check_policy(password, "ada-lovelace", "ada.l@example.org")
    assert not password or password not in str(caught.value)


@pytest.mark.parametrize(
    "password", ["a long test sentence", "Tr0ub4dor&3-extra", "ünïcödé wörds hère", "x9$kQ2!mVb7z"]
)
def test_good_passwords_pass(password):
    check_policy(password, "ada-lovelace", "ada@example.org")


def test_only_the_right_password_matches():
    async def story():
        passwords = Passwords()
        kept = await passwords.hash("a long test sentence")
        assert kept.startswith("$argon2id$")
        assert "sentence" not in kept
        assert await passwords.matches(kept, "a long test sentence")
        assert not await passwords.matches(kept, "a long test sentence ")
        assert not await passwords.matches("", "a long test sentence")
        assert not await passwords.matches("not a hash", "a long test sentence")

    asyncio.run(story())


def test_an_unknown_login_costs_as_much_as_a_wrong_password():
    async def cpu(passwords, kept):
        await passwords.matches(kept, "warm up")
        started = time.process_time()
        for _ in range(8):
            await passwords.matches(kept, "wrong password")
        return time.process_time() - started

    async def story():
        passwords = Passwords()
        known, unknown = await cpu(passwords, await passwords.hash("right")), await cpu(passwords, "")
        # Without the hash of nobody's password the ratio is above 100.
        assert known / unknown < 3

    asyncio.run(story())
