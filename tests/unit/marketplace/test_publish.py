import itertools

import httpx
import pytest

from dteg.core.errors import ConfigError, UnavailableError
from dteg.marketplace import receipts
from dteg.marketplace.client import RegistryClient
from dteg.marketplace.publish import GateOutcome, Verdict, follow_gates, load_key, publish_envelope
from dteg.packages import inspect_wheel
from dteg.signing import PUBLISH, SigningKey, verify_about
from tests.factories import make_wheel


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch):
    monkeypatch.setenv("DTEG_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.delenv("DTEG_SIGNING_KEY", raising=False)
    monkeypatch.delenv("DTEG_NO_RECEIPTS", raising=False)


def gates(*answers):
    left, asked = list(answers), []

    def answer(request):
        asked.append(dict(request.url.params))
        found = left.pop(0) if len(left) > 1 else left[0]
        return found if isinstance(found, httpx.Response) else httpx.Response(200, json=found)

    client = RegistryClient("https://r.test", transport=httpx.MockTransport(answer), sleep=lambda _: None)
    clock = itertools.count().__next__
    return follow_gates(client, "a/b-loader", "1.0.0", clock, 60), asked


def state(name, results=(), following=0, **more):
    return {"state": name, "results": list(results), "next": following, "reason": "", **more}


RESULT = {"gate": "security", "status": "failed", "summary": "1 finding", "duration_s": 0.5, "log": "x",
          "findings": [{"rule": "B602", "severity": "high", "message": "shell", "file": "b.py", "line": 3, "remedy": "do not"}]}  # fmt: skip


def test_results_come_one_after_the_other_and_the_verdict_last():
    found, asked = gates(
        state("pending"),
        state("testing", [RESULT], 1),
        state("rejected", following=1, reason="security", score=40),
    )
    first, verdict = found
    assert isinstance(first, GateOutcome)
    assert str(first.findings[0]) == "b.py:3: shell; do not [B602]"
    assert verdict == Verdict("rejected", "security", 40)
    assert [each["after"] for each in asked] == ["0", "0", "1"]


def test_results_that_come_with_the_end_are_not_lost():
    found, _ = gates(state("listed", [RESULT], 1), state("listed", [], 1, score=90))
    assert [type(each) for each in found] == [GateOutcome, Verdict]


def test_a_registry_that_restarts_does_not_end_the_wait():
    down = httpx.Response(503, json={"detail": "starting"})
    found, _ = gates(down, down, down, state("listed", score=90))
    assert list(found) == [Verdict("listed", "", 90)]


def test_no_verdict_in_time():
    found, _ = gates(state("testing"))
    with pytest.raises(
        UnavailableError, match=r"no verdict about a/b-loader@1\.0\.0 within 60 s; the gates go on"
    ):
        list(found)


def test_the_signature_names_component_and_version(tmp_path):
    contents = inspect_wheel(make_wheel(tmp_path / "w"))
    key = SigningKey.generate()
    envelope = publish_envelope(contents, key)
    said = verify_about(envelope, {key.key_id: key.public}, predicate_type=PUBLISH, sha256=contents.sha256)
    assert said.filename == contents.filename
    assert (said.predicate["component"], said.predicate["version"]) == (
        "streaming/numbers-extractor",
        "1.0.0",
    )


def test_a_missing_key_says_how_to_make_one(tmp_path, monkeypatch):
    with pytest.raises(ConfigError, match="dteg key create streaming"):
        load_key("streaming")
    key = SigningKey.generate()
    key.save(tmp_path / "other.pem")
    monkeypatch.setenv("DTEG_SIGNING_KEY", str(tmp_path / "other.pem"))
    assert load_key("streaming").key_id == key.key_id


def test_receipts_can_be_turned_off_and_never_fail_an_install(monkeypatch):
    from dteg.core.clock import utc_now
    from dteg.marketplace.lockfile import LockedComponent

    asked = []

    def answer(request):
        asked.append(request)
        return httpx.Response(500, text="broken")

    client = RegistryClient("https://r.test", transport=httpx.MockTransport(answer), sleep=lambda _: None)
    locked = LockedComponent(
        id="aa/b-loader", version="1.0.0", filename="x.whl", sha256="ab" * 32, size=1, trust="signed"
    )
    assert receipts.send(client, [locked], utc_now) == 0
    assert len(asked) == 1
    monkeypatch.setenv("DTEG_NO_RECEIPTS", "1")
    assert receipts.send(client, [locked], utc_now) == 0
    assert len(asked) == 1
    assert 0 <= receipts.share() < 100
    assert receipts.install_key().key_id == receipts.install_key().key_id
