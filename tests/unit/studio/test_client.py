import httpx
import pytest

from dteg.cli.studio import token_for
from dteg.core.errors import ConfigError, DeniedError, DtegError, UnavailableError
from dteg.core.project import Project
from dteg.studio_client import StudioClient, quoted


def client(answer, token=""):
    return StudioClient("http://127.0.0.1:1", token, transport=httpx.MockTransport(answer))


@pytest.mark.parametrize("url", ["", "127.0.0.1:8766", "ftp://x", "http://", "http://x/path", "http://x?a=b"])
def test_an_address_that_is_none_is_refused(url):
    with pytest.raises(ConfigError, match="no address of a studio"):
        StudioClient(url)


def test_a_token_never_crosses_a_network_in_the_clear():
    with pytest.raises(ConfigError, match="in the clear"):
        StudioClient("http://example.org", "secret-token")
    for url in ("https://example.org", "http://127.0.0.1:1", "http://[::1]:1", "http://localhost:1"):
        StudioClient(url, "secret-token").close()
    StudioClient("http://example.org").close()


def test_what_is_not_given_is_left_out_of_the_query():
    seen = []

    def answer(request):
        seen.append(str(request.url))
        return httpx.Response(200, json={"ok": True})

    assert client(answer).get("/x", a=1, b=None, c="", d=False) == {"ok": True}
    assert seen == ["http://127.0.0.1:1/api/v1/x?a=1&d=false"]


def test_a_file_is_sent_while_it_is_read(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"x" * 300_000)
    seen = {}

    def answer(request):
        seen.update(body=request.read(), query=dict(request.url.params), type=request.headers["content-type"])
        return httpx.Response(204)

    assert client(answer).upload("/x", path, table="t") is None
    assert seen == {"body": b"x" * 300_000, "query": {"table": "t"}, "type": "application/octet-stream"}
    client(answer).upload("/x", iter([b"a", b"b"]))
    assert seen["body"] == b"ab"


def test_an_answer_without_end_is_cut_off(monkeypatch):
    monkeypatch.setattr("dteg.studio_client.MAX_ANSWER_BYTES", 10)
    with pytest.raises(DtegError, match="sends more than"):
        client(lambda request: httpx.Response(200, content=b"x" * 11)).get("/x")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (httpx.Response(200, text="<html>"), "not as a dteg studio does"),
        (httpx.Response(404, text="nothing"), "answers 404, but not as a dteg studio"),
        (httpx.Response(500, json=["x"]), "answers 500"),
    ],
)
def test_another_server_is_recognised(answer, said):
    with pytest.raises(DtegError, match=said):
        client(lambda request: answer).get("/x")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectError("x"), "cannot be reached"),
        (httpx.ReadTimeout("x"), "in time"),
        (httpx.RemoteProtocolError("x"), "breaks off"),
    ],
)
def test_a_studio_that_does_not_answer(error, said):
    def answer(request):
        raise error

    with pytest.raises(UnavailableError, match=said):
        client(answer).get("/x")


def test_who_is_not_let_in_learns_how():
    problem = {"detail": "log in first", "code": "denied"}
    with pytest.raises(DeniedError, match="dteg studio token create") as refused:
        client(lambda request: httpx.Response(401, json=problem)).get("/x")
    assert refused.value.authenticate


def test_a_stream_is_refused_as_anything_else():
    problem = {"detail": "no such topic", "code": "not_found"}
    with (
        pytest.raises(DtegError, match="no such topic"),
        client(lambda request: httpx.Response(404, json=problem)).stream("/x"),
    ):
        pass


def test_a_name_is_one_part_of_a_path():
    assert quoted("a/b ü?#") == "a%2Fb%20%C3%BC%3F%23"


def test_the_own_token_goes_to_the_own_studio_only(tmp_path, monkeypatch):
    (tmp_path / "pipelines").mkdir()
    monkeypatch.setenv("DTEG_HOME", str(tmp_path))
    monkeypatch.delenv("DTEG_STUDIO_TOKEN", raising=False)
    monkeypatch.setattr("dteg.cli.studio._running_port", lambda project: 8766)
    own = token_for("http://127.0.0.1:8766")
    assert own == (Project.find().state_dir / "studio" / "token").read_text().strip()
    for other in (
        "http://127.0.0.1:8767",
        "http://example.org:8766",
        "https://example.org",
        "http://127.0.0.1",
        "x",
    ):
        assert token_for(other) == ""
    monkeypatch.setenv("DTEG_STUDIO_TOKEN", "given")
    assert token_for("https://example.org") == "given"
    monkeypatch.setenv("OTHER", "hidden")
    monkeypatch.setenv("DTEG_STUDIO_TOKEN", "secret://env/OTHER")
    assert token_for("https://example.org") == "hidden"
