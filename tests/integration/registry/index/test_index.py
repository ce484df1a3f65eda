import gzip
import hashlib
import json

import httpx
import pytest

from tests.integration.registry.publishing import Publisher

JSON = "application/vnd.pypi.simple.v1+json"
PROJECT = "//simple/dteg-streaming-numbers-extractor/"


@pytest.fixture
def publisher(registry, tmp_path):
    return Publisher(registry, tmp_path / "wheels")


def test_json_and_html_say_the_same(registry, publisher):
    release = publisher.list()
    answer = registry.request("GET", PROJECT, headers={"Accept": f"{JSON}, text/html;q=0.1"})
    assert answer.headers["content-type"] == JSON
    assert answer.headers["vary"] == "Accept, Accept-Encoding"
    assert answer.headers["cache-control"].startswith("public, max-age=60")
    (file,) = answer.json()["files"]
    assert (file["filename"], file["hashes"]["sha256"]) == (release["filename"], release["sha256"])
    assert (file["size"], file["yanked"], answer.json()["versions"]) == (release["size"], False, ["1.0.0"])
    html = registry.request("GET", PROJECT)
    assert html.headers["content-type"] == "text/html; charset=utf-8"
    assert f"{release['filename']}#sha256={release['sha256']}" in html.text
    assert 'data-requires-python="&gt;=3.11"' in html.text
    names = registry.request("GET", "//simple/", headers={"Accept": JSON}).json()["projects"]
    assert names == [{"name": "dteg-streaming-numbers-extractor"}]
    assert 'href="dteg-streaming-numbers-extractor/"' in registry.request("GET", "//simple/").text


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/html"),
        ("*/*", "text/html"),
        (JSON, JSON),
        ("application/vnd.pypi.simple.latest+json", JSON),
        (f"text/html;q=0.9, {JSON};q=0.2", "text/html"),
        ("application/vnd.pypi.simple.v1+html", "application/vnd.pypi.simple.v1+html"),
    ],
)
def test_the_client_chooses_the_form(registry, publisher, accept, kind):
    publisher.list()
    answer = registry.request("GET", PROJECT, headers={"Accept": accept})
    assert answer.headers["content-type"].split(";")[0] == kind


def test_other_forms_and_names_are_refused(registry, publisher):
    publisher.list()
    assert registry.request("GET", PROJECT, headers={"Accept": "image/png"}).status_code == 406
    assert registry.request("GET", "//simple/unknown/").status_code == 404
    moved = registry.request("GET", "//simple/Dteg_Streaming.numbers-Extractor/")
    assert (moved.status_code, moved.headers["location"]) == (301, PROJECT[1:])


def test_an_unchanged_page_is_not_sent_again(registry, publisher):
    publisher.list()
    first = registry.request("GET", PROJECT, headers={"Accept-Encoding": "identity"})
    tag = first.headers["etag"]
    again = registry.request("GET", PROJECT, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    publisher.list("1.1.0")
    changed = registry.request("GET", PROJECT, headers={"If-None-Match": tag, "Accept-Encoding": "identity"})
    assert (changed.status_code, changed.headers["etag"] != tag) == (200, True)


def test_pages_are_packed_when_the_client_can_unpack(registry, publisher):
    publisher.list()
    with httpx.stream("GET", f"{registry.url}{PROJECT[1:]}", headers={"Accept-Encoding": "gzip"}) as answer:
        packed = b"".join(answer.iter_raw())
    plain = registry.request("GET", PROJECT, headers={"Accept-Encoding": "identity"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed) == plain.content
    assert answer.headers["etag"] != plain.headers["etag"]
    again = registry.request("GET", PROJECT, headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_files_are_for_ever_and_their_metadata_lies_beside(registry, publisher):
    release = publisher.list()
    path = f"//files/{release['sha256']}/{release['filename']}"
    answer = registry.request("GET", path)
    assert hashlib.sha256(answer.content).hexdigest() == release["sha256"]
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    head = registry.request("HEAD", path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (
        200,
        b"",
        str(release["size"]),
    )
    part = registry.request("GET", path, headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"PK\x03\x04")
    tag = answer.headers["etag"]
    assert registry.request("GET", path, headers={"If-None-Match": tag}).status_code == 304
    page = registry.request("GET", PROJECT, headers={"Accept": JSON}).json()
    metadata = registry.request("GET", f"{path}.metadata")
    assert metadata.text.startswith("Metadata-Version: ")
    assert page["files"][0]["core-metadata"]["sha256"] == hashlib.sha256(metadata.content).hexdigest()


def test_a_large_file_comes_as_a_small_one_does(registry, publisher, monkeypatch):
    """A small one is read at once, a large one piece by piece: nobody can tell."""
    release = publisher.list()
    paths = [f"//files/{release['sha256']}/{release['filename']}{end}" for end in ("", ".metadata")]
    small = [registry.request("GET", path) for path in paths]
    monkeypatch.setattr("registry.index.routes._READ_AT_ONCE_BYTES", 10)
    large = [registry.request("GET", path) for path in paths]
    for one, other in zip(small, large, strict=True):
        assert one.content == other.content
        varying = ("date", "x-request-id")
        assert [{k: v for k, v in each.headers.items() if k not in varying} for each in (one, other)] == [
            {k: v for k, v in one.headers.items() if k not in varying}
        ] * 2
        assert one.headers["accept-ranges"] == "bytes"
    assert hashlib.sha256(small[0].content).hexdigest() == release["sha256"]


@pytest.mark.parametrize("name", ["other-1.0.0-py3-none-any.whl", "..%2f..%2fregistry.key", "x.tar.gz"])
def test_a_hash_has_one_name(registry, publisher, name):
    release = publisher.list()
    assert registry.request("GET", f"//files/{release['sha256']}/{name}").status_code in (404, 422)


def test_wrong_credentials_do_not_matter_for_what_is_free(registry, publisher):
    release = publisher.list()
    headers = {"Authorization": "Basic bm86Ym9keQ=="}
    assert registry.request(
        "GET", f"//files/{release['sha256']}/{release['filename']}", headers=headers
    ).is_success
    assert registry.request("GET", PROJECT, headers=headers).is_success


def test_what_is_not_free_needs_a_licence(registry, publisher):
    release = publisher.list(pricing={"model": "premium", "amount_minor": 100})
    path = f"//files/{release['sha256']}/{release['filename']}"
    stranger = registry.request("GET", path)
    assert stranger.status_code == 401
    assert "Basic" in stranger.headers["www-authenticate"]
    registry.make_account("bob")
    assert registry.request("GET", path, token=registry.token_of("bob")).status_code == 403
    assert registry.request("GET", f"{path}.metadata").is_success


def test_yanked_quarantined_and_halted_releases(registry, publisher):
    releases = {version: publisher.list(version) for version in ("1.0.0", "1.1.0", "1.2.0", "1.3.0")}
    registry.make_account("root", admin=True)
    base = "/components/streaming/numbers-extractor/releases"
    token, admin = publisher.token, registry.token_of("root")
    reason = {"reason": "loses rows"}
    for path, body, who in [
        ("1.1.0/yank", reason, token), ("1.2.0/quarantine", reason, admin), ("1.3.0/rollout", {"halted": True}, token),
    ]:  # fmt: skip
        answer = registry.request("POST", f"{base}/{path}", json=body, token=who)
        assert answer.status_code == 200, answer.text
    registry.run(registry.services.index.refresh())
    page = registry.request("GET", PROJECT, headers={"Accept": JSON}).json()
    assert {file["filename"].split("-")[1]: file["yanked"] for file in page["files"]} == {
        "1.3.0": "the rollout was halted", "1.1.0": "loses rows", "1.0.0": False,
    }  # fmt: skip
    assert 'data-yanked="loses rows"' in registry.request("GET", PROJECT).text
    gone = releases["1.2.0"]
    assert registry.request("GET", f"//files/{gone['sha256']}/{gone['filename']}").status_code == 404
    latest = registry.request("GET", "/components/streaming/numbers-extractor").json()["latest"]
    assert latest["stable"] == "1.0.0"
    for path, who in (("1.1.0/yank", token), ("1.2.0/quarantine", admin)):
        assert registry.request("DELETE", f"{base}/{path}", token=who).json()["state"] == "listed"
    answer = registry.request(
        "POST", f"{base}/1.3.0/rollout", json={"halted": False, "percent": 100}, token=token
    )
    assert answer.json()["rollout"] == {"percent": 100, "halted": False}
    registry.run(registry.services.index.refresh())
    page = registry.request("GET", PROJECT, headers={"Accept": JSON}).json()
    assert [file["yanked"] for file in page["files"]] == [False] * 4
    assert json.dumps(page).count("core-metadata") == 4
