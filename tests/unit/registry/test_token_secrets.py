import stat
from concurrent.futures import ThreadPoolExecutor

from registry.identifiers import new_id
from registry.tokens.secrets import hash_of, id_of, make_secret, signing_key


def test_a_secret_tells_its_id_and_its_hash_does_not_tell_it():
    token_id = new_id()
    secret = make_secret(token_id)
    assert secret.startswith(f"dteg_{token_id}_")
    assert id_of(secret) == token_id
    assert len(hash_of(secret)) == 64
    assert make_secret(token_id) != secret
    assert id_of(secret + "x") is None
    assert id_of(secret + "\n") is None
    assert id_of("dteg_x_y") is None


def test_the_signing_key_is_made_once_and_for_its_owner_only(tmp_path):
    folder = tmp_path / "data"
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(lambda _: signing_key(folder), range(64)))
    assert len(set(keys)) == 1
    assert len(keys[0]) == 32
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
