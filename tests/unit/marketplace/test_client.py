import httpx
import pytest

from dteg.core.errors import (
    ConflictError,
    DeniedError,
    NotFoundError,
    RegistryError,
    UnavailableError,
)
from dteg.marketplace.client import LimitedError, NotARegistryError, RegistryClient, TamperedError

URL = "https://registry.test"


def client(*answers, token="", waits=None):
    """Return a client whose registry gives these answers, and what it was asked."""
    left, asked = list(answers), []

    def answer(request):
        asked.append(request)
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    sleep = (waits if waits is not None else []).append
    return RegistryClient(URL, token, transport=httpx.MockTransport(answer), sleep=sleep), asked


def problem(status, detail="no", **headers):
    return httpx.Response(status, json={"detail": detail, "code": "x"}, headers=headers)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, DeniedError),
        (403, DeniedError),
        (404, NotFoundError),
        (409, ConflictError),
        (422, RegistryError),
        (429, LimitedError),
        (500, RegistryError),
        (503, UnavailableError),
    ],
)
def test_problems_become_errors(status, error):
    registry, _ = client(problem(status, "this is why"))
    with pytest.raises(error, match="this is why"):
        registry.get("/x")


def test_who_is_not_logged_in_learns_the_command():
    registry, _ = client(problem(401))
    with pytest.raises(DeniedError, match="you are not logged in; run: dteg login"):
        registry.get("/x")
    registry, _ = client(problem(401), token="t")
    with pytest.raises(DeniedError, match="wrong, expired or revoked; run: dteg login"):
        registry.get("/x")


def test_a_registry_that_names_the_login_is_not_repeated():
    for detail in ("log in first: dteg login", "wrong login or password"):
        registry, _ = client(problem(401, detail))
        with pytest.raises(DeniedError) as caught:
            registry.get("/x")
        assert str(caught.value) == detail


def test_a_limit_says_how_long_to_wait():
    waits = []
    registry, asked = client(problem(429, "slowly", **{"retry-after": "42"}), waits=waits)
    with pytest.raises(LimitedError, match="slowly; try again in 42 s") as caught:
        registry.get("/x")
    assert caught.value.retry_after_s == 42
    assert (len(asked), waits) == (1, []), "nobody waits that long without being asked"


def test_a_short_wait_is_waited_for():
    waits = []
    registry, asked = client(
        problem(429, **{"retry-after": "2"}), httpx.Response(200, json={"a": 1}), waits=waits
    )
    assert registry.call("POST", "/x") == {"a": 1}
    assert (len(asked), waits) == (2, [2.0])


def test_reading_is_tried_again_but_not_for_ever():
    registry, asked = client(problem(503), problem(503), httpx.Response(200, json=[]))
    assert registry.get("/x") == []
    registry, asked = client(problem(503))
    with pytest.raises(UnavailableError):
        registry.get("/x")
    assert len(asked) == 3


def test_what_may_have_been_done_is_not_done_again():
    for failure in (httpx.ReadTimeout("slow"), httpx.RemoteProtocolError("cut"), problem(503)):
        registry, asked = client(failure)
        with pytest.raises(UnavailableError):
            registry.call("POST", "/x")
        assert len(asked) == 1


def test_what_was_never_sent_is_tried_again():
    registry, asked = client(httpx.ConnectError("refused"), httpx.Response(200, json={}))
    assert registry.call("POST", "/x") == {}
    assert len(asked) == 2


def test_a_registry_that_is_not_there_is_named():
    registry, _ = client(httpx.ConnectError("refused"))
    with pytest.raises(UnavailableError, match=r"https://registry\.test cannot be reached"):
        registry.get("/x")


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(404, text="<html>Not found</html>"),
        httpx.Response(302, headers={"location": "https://elsewhere.test"}),
        httpx.Response(500, json=["x"]),
    ],
)
def test_something_else_than_a_registry_is_told(response):
    registry, _ = client(response)
    with pytest.raises(NotARegistryError):
        registry.get("/x")


def test_text_of_a_registry_cannot_steer_the_terminal():
    registry, _ = client(problem(404, "\x1b[2Jgone\u202e"))
    with pytest.raises(NotFoundError) as caught:
        registry.get("/x")
    assert str(caught.value) == "[2Jgone"


def test_an_answer_without_end_is_cut():
    class Endless(httpx.SyncByteStream):
        def __iter__(self):
            while True:
                yield b"x" * 1_000_000

    registry, _ = client(httpx.Response(200, stream=Endless()))
    with pytest.raises(NotARegistryError, match="more than"):
        registry.get("/x")


def test_pages_are_read_to_the_end():
    registry, asked = client(
        httpx.Response(200, json={"items": [1, 2], "next": "b"}),
        httpx.Response(200, json={"items": [3], "next": None}),
    )
    assert list(registry.pages("/x", limit=2)) == [1, 2, 3]
    assert asked[1].url.params["after"] == "b"


def test_a_download_must_be_the_right_file(tmp_path):
    import hashlib

    data = b"the wheel"
    sha256 = hashlib.sha256(data).hexdigest()
    seen = []
    registry, _ = client(httpx.Response(200, content=data))
    registry.download("/f", tmp_path / "f.whl", sha256=sha256, size=9, progress=lambda *a: seen.append(a))
    assert (tmp_path / "f.whl").read_bytes() == data
    assert seen[-1] == (9, 9)
    for other in (b"the whell", b"the whee", b"the wheel and more"):
        registry, _ = client(httpx.Response(200, content=other))
        with pytest.raises(TamperedError, match="tampered"):
            registry.download("/f", tmp_path / "g.whl", sha256=sha256, size=9)
    assert [path.name for path in tmp_path.iterdir()] == ["f.whl"]


def test_the_token_goes_to_the_registry_only(tmp_path):
    import hashlib

    asked = []

    def answer(request):
        asked.append(request)
        if request.url.host == "registry.test":
            return httpx.Response(307, headers={"location": "https://store.test/f"})
        return httpx.Response(200, content=b"x")

    registry = RegistryClient(URL, "secret", transport=httpx.MockTransport(answer))
    registry.download("/f", tmp_path / "f", sha256=hashlib.sha256(b"x").hexdigest(), size=1)
    assert asked[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in asked[1].headers


def test_an_upload_sends_file_and_signature(tmp_path):
    wheel = tmp_path / "x.whl"
    wheel.write_bytes(b"w" * 200_000)
    seen = []
    registry, asked = client(httpx.Response(202, json={"id": "x"}))
    assert registry.upload("/releases", wheel, {"signature": "{}"}, lambda *a: seen.append(a)) == {"id": "x"}
    body = asked[0].read()
    assert b'name="wheel"; filename="x.whl"' in body
    assert b'name="signature"' in body
    assert seen[-1] == (200_000, 200_000)
