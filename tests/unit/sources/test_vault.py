"""Passwords of sources: sealed, bound to their source, and of no use without the key."""

import base64
import os

import pytest

from dteg.core.errors import ConfigError
from dteg.sources.vault import KEY_VARIABLE, Vault


@pytest.fixture(autouse=True)
def _no_key(monkeypatch):
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def test_what_is_sealed_is_opened_again(tmp_path):
    vault = Vault(tmp_path / "keys")
    sealed, key_id = vault.seal("shop", {"url": "mysql://me:höchst geheim@h/d"})
    assert b"geheim" not in sealed
    assert vault.open("shop", sealed, key_id) == {"url": "mysql://me:höchst geheim@h/d"}
    assert vault.key_file.stat().st_mode & 0o077 == 0


def test_two_sealings_of_one_text_differ(tmp_path):
    vault = Vault(tmp_path)
    assert vault.seal("shop", {"url": "x"})[0] != vault.seal("shop", {"url": "x"})[0]


def test_what_is_sealed_for_one_source_opens_for_no_other(tmp_path):
    vault = Vault(tmp_path)
    sealed, key_id = vault.seal("shop", {"url": "x"})
    with pytest.raises(ConfigError, match="altered"):
        vault.open("crm", sealed, key_id)


def test_a_changed_byte_is_noticed(tmp_path):
    vault = Vault(tmp_path)
    sealed, key_id = vault.seal("shop", {"url": "x"})
    with pytest.raises(ConfigError, match="altered"):
        vault.open("shop", sealed[:-1] + bytes([sealed[-1] ^ 1]), key_id)


def test_another_key_is_named(tmp_path, monkeypatch):
    sealed, key_id = Vault(tmp_path / "a").seal("shop", {"url": "x"})
    Vault(tmp_path / "b").seal("shop", {"url": "y"})
    with pytest.raises(ConfigError, match=key_id):
        Vault(tmp_path / "b").open("shop", sealed, key_id)
    with pytest.raises(ConfigError, match="is not there"):
        Vault(tmp_path / "c").open("shop", sealed, key_id)


def test_the_key_may_be_in_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv(KEY_VARIABLE, base64.b64encode(os.urandom(32)).decode())
    sealed, key_id = Vault(tmp_path).seal("shop", {"url": "x"})
    assert not Vault(tmp_path).key_file.exists()
    assert Vault(tmp_path).open("shop", sealed, key_id) == {"url": "x"}
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(ConfigError, match="32 random bytes"):
        Vault(tmp_path).seal("shop", {"url": "x"})


def test_a_key_that_others_may_read_is_refused(tmp_path):
    vault = Vault(tmp_path)
    vault.seal("shop", {"url": "x"})
    vault.key_file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        vault.seal("shop", {"url": "x"})
