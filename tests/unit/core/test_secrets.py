import copy
import pickle

import pytest
from pydantic import ValidationError

from dteg.core.config import ConfigModel, ConnectionUrl, Secret
from dteg.core.errors import ConfigError, NotAvailableError
from dteg.core.secrets import MASK, redact, resolve

VALUE = "hunter2-Geheim"


class Config(ConfigModel):
    password: Secret | None = None
    url: ConnectionUrl | None = None


def test_a_secret_shows_itself_nowhere():
    config = Config(password=Secret(VALUE, literal=True))
    secret = config.password
    shown = [
        repr(secret), str(secret), f"{secret}", f"{secret!r:>20}", "%s" % secret, repr([secret]), repr(config), str(config),  # noqa: UP031
        str(config.model_dump()), config.model_dump_json(), str(Config.model_json_schema()),
    ]  # fmt: skip
    assert not [text for text in shown if VALUE in text]
    assert secret.reveal() == VALUE


def test_a_reference_is_shown_because_it_is_no_secret(monkeypatch):
    monkeypatch.setenv("DTEG_TEST_SECRET", VALUE)
    secret = Secret("secret://env/DTEG_TEST_SECRET")
    assert str(secret) == "secret://env/DTEG_TEST_SECRET"
    assert VALUE not in repr(secret)


def test_a_rotated_secret_is_seen(monkeypatch):
    secret = Secret("secret://env/DTEG_TEST_SECRET")
    for value in ("old", "new"):
        monkeypatch.setenv("DTEG_TEST_SECRET", value)
        assert secret.reveal() == value


def test_a_secret_file_gives_its_first_line(tmp_path):
    path = tmp_path / "token"
    path.write_bytes(b"s3cret\r\nsecond line")
    assert resolve(f"secret://file/{path}") == "s3cret"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
def test_a_secret_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "token"
    if content:
        path.write_bytes(content)
    with pytest.raises(ConfigError, match="token: cannot be read"):
        resolve(f"secret://file/{path}")


def test_an_unset_variable_is_named():
    with pytest.raises(ConfigError, match="environment variable NO_SUCH_VARIABLE is not set"):
        resolve("secret://env/NO_SUCH_VARIABLE")


def test_an_unknown_provider_names_those_that_are_there():
    with pytest.raises(NotAvailableError, match="'vault'; there are: env, file"):
        resolve("secret://vault/x")


@pytest.mark.parametrize(
    "value", [VALUE, 5, None, ["secret://env/X"], "secret://", "secret://env/", "SECRET://env/X"]
)
def test_a_literal_in_yaml_is_refused_without_repeating_it(value):
    class Strict(ConfigModel):
        password: Secret

    with pytest.raises(ValidationError, match="write a reference such as secret://env/NAME") as caught:
        Strict.model_validate({"password": value})
    assert VALUE not in str(caught.value)


def test_secrets_compare_and_hash_without_being_revealed():
    assert Secret("secret://env/A") == Secret("secret://env/A") != Secret("secret://env/B")
    assert len({Secret("x", literal=True), Secret("x", literal=True), Secret("secret://env/A")}) == 2
    assert copy.deepcopy(Secret(VALUE, literal=True)).reveal() == VALUE
    assert pickle.loads(pickle.dumps(Secret("secret://env/A"))) == Secret("secret://env/A")


@pytest.mark.parametrize(
    "url",
    [f"postgresql://me:{VALUE}@db/x", f"https://u:{VALUE}@h/p", f"postgresql://db/x?password={VALUE}",
     f"postgresql://db/x?a=b&sslpassword={VALUE}", f"host=db password={VALUE}", f"host=db password = '{VALUE}'"],
)  # fmt: skip
def test_a_password_in_a_url_is_refused_without_repeating_it(url):
    with pytest.raises(ValidationError, match="the URL holds a password") as caught:
        Config(url=url)
    assert VALUE not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["postgresql://me@db:5432/x", "postgresql:///x?host=/tmp", "https://h:8080/a@b", "https://h/p?page_token=abc",
     "secret://env/URL", "secret://file//run/secrets/password=x"],
)  # fmt: skip
def test_a_url_without_password_is_accepted(url):
    assert Config(url=url).url == url


def test_a_url_reference_is_resolved_only_when_asked(monkeypatch):
    config = Config(url="secret://env/DTEG_TEST_URL")
    monkeypatch.setenv("DTEG_TEST_URL", f"postgresql://me:{VALUE}@db/x")
    assert config.url.reveal() == f"postgresql://me:{VALUE}@db/x"
    assert VALUE not in repr(config)


REDACTED = [
    "postgresql://me:{}@db:5432/x", "could not connect to postgres://me:{}@db", "https://user:{}@host/path?q=1",
    "redis://:{}@cache", "url 'mongodb+srv://a.b:{}@c.d/e' failed", "postgresql://me:p@{}@db/x",
    "host=db password={} user=me", "password='{} and more' host=x", 'password="{}"', "PASSWORD: {}", "pwd={};x=1",
    "PGPASSWORD={} psql", "db_password={}", "aws_secret_access_key={}", "client_secret={}&a=b", "?access_token={}&x=1",
    '{{"password": "{}", "user": "me"}}', "{{'api_key': '{}'}}", '{{"refresh_token":"{}"}}', "X-Api-Key: {}",
    "api-key={}", "private_key={}", "Authorization: Bearer {}", "authorization: basic {}", "Authorization: Token {}",
    "token={}, next", "{{'Authorization': 'Bearer {}'}}",
]  # fmt: skip


@pytest.mark.parametrize("text", REDACTED)
def test_redact_hides_the_secret_and_keeps_the_rest(text):
    text = text.format(VALUE)
    hidden = redact(text)
    assert VALUE not in hidden
    assert "hunter2" not in hidden
    assert MASK in hidden
    assert redact(hidden) == hidden
    assert hidden[:3] == text[:3]


@pytest.mark.parametrize(
    "text",
    ["secret://env/NAME: the environment variable NAME is not set", "write secret: secret://env/NAME", "https://h:80/a",
     'password authentication failed for user "me"', "the token has expired", "basic types", "postgresql://me@db/x"],
)  # fmt: skip
def test_redact_leaves_other_texts_alone(text):
    assert redact(text) == text


def test_redact_hides_values_it_is_given_unless_they_are_too_short_to_mean_anything():
    assert redact("a value abc-def here", "abc-def", "a") == f"a value {MASK} here"
