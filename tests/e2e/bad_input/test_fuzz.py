"""Random bytes and random changes of good files: never a traceback, another exit code, a changed database or a hang.

Each run of CI tries the same ones; DTEG_FAULTS=full tries many more.
"""

import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dteg.cli.main import run_app
from tests.e2e.bad_input.case import GOOD_PIPELINE, PIPELINE, SEED_CSV, pipeline_for
from tests.e2e.bad_input.fingerprint import fingerprint

pytestmark = pytest.mark.e2e
MAX_SECONDS = 30
EXAMPLES = 500 if os.environ.get("DTEG_FAULTS") == "full" else 75
FUZZ = settings(
    derandomize=True, max_examples=EXAMPLES, deadline=None, database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
WORDS = st.sampled_from(
    [b"\t", b"\n", b"\r", b"\0", b'"', b"'", b",", b":", b"- ", b"[", b"]", b"{", b"}", b"{{", b"}}", b"{%", b"&a ", b"*a",
     b"!!x ", b"|", b">", b"#", b"~", b"\xff", b"\xef\xbb\xbf", b"-1", b"1e999", b".nan", b"null", b"true", b"9" * 50, b"../",
     b"secret://env/X", b"x" * 300, "é한".encode(), b"\\ud800", b"$(id)", b"%s", b"\x85", "\u2028".encode()]
)  # fmt: skip


@st.composite
def mutations(draw: st.DrawFn, good: bytes) -> bytes:
    """Draw the good bytes with one to four pieces removed, replaced, inserted or doubled."""
    data = good
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.one_of(WORDS, st.binary(max_size=6), st.just(b""), st.just(data[start:end] * 2)))
        data = data[:start] + piece + data[end:]
    return data


def inputs(good: str) -> st.SearchStrategy[bytes]:
    return st.one_of(st.binary(max_size=200), mutations(good.encode()), mutations(good.encode()))


def run_and_check(project: Path, url: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = fingerprint(url)
    started = time.monotonic()
    code = run_app(["run", str(project / PIPELINE)])
    seconds = time.monotonic() - started
    message = capsys.readouterr().err
    assert code in (0, 1, 2), message
    assert "Traceback" not in message
    assert "This is a bug in dteg" not in message, message
    assert seconds < MAX_SECONDS
    if code:
        assert len(message) < 4_000
        assert fingerprint(url) == before, message


def test_any_pipeline_file_is_run_or_refused(project, copied_url, monkeypatch, capsys):
    monkeypatch.setenv("DTEG_POSTGRES_URL", copied_url)
    (project / "data.csv").write_text(SEED_CSV)

    @FUZZ
    @given(inputs(GOOD_PIPELINE))
    def check(data: bytes) -> None:
        (project / PIPELINE).write_bytes(data)
        run_and_check(project, copied_url, capsys)

    check()


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "inferred"])
def test_any_csv_is_loaded_or_refused(declared, project, copied_url, monkeypatch, capsys):
    monkeypatch.setenv("DTEG_POSTGRES_URL", copied_url)
    (project / PIPELINE).write_text(
        pipeline_for("data.csv", {} if declared else {"columns": None}, {"max_bad_rows": 1})
    )

    @FUZZ
    @given(inputs(SEED_CSV))
    def check(data: bytes) -> None:
        (project / "data.csv").write_bytes(data)
        run_and_check(project, copied_url, capsys)

    check()
