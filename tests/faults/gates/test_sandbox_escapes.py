"""What code in the sandbox tries, is proved to be tried, and does not get."""

import os
import secrets
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.faults.gates.attempts import ATTEMPTS, PREAMBLE

pytestmark = pytest.mark.faults
CHECKOUT = Path(__file__).parents[3]


def program(code):
    """Return a program that says that it tried, and how it ended."""
    body = "\n".join(f"    {line}" for line in code.strip().splitlines())
    return (
        f"{PREAMBLE}\nprint('TRIED', flush=True)\ntry:\n{body}\n"
        "except BaseException as error:\n    print('REFUSED', type(error).__name__, error, flush=True)\n"
        "else:\n    print('SUCCEEDED', flush=True)\n"
    )


@pytest.fixture(scope="module")
def facts(sandbox, tmp_path_factory):
    """What there is outside to be reached: listeners, files, a process and a secret."""
    secret = secrets.token_hex(8)
    folder = Path("/tmp") / f"dteg-gate-{secret}"
    folder.mkdir(mode=0o755)
    (folder / "file").write_text("of somebody")
    (folder / "file").chmod(0o644)
    listener = socket.create_server(("0.0.0.0", 0))
    unix, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    unix.bind(str(folder / "socket"))
    (folder / "socket").chmod(0o777)
    abstract.bind(f"\0dteg-{secret}")
    for each in (unix, abstract):
        each.listen()
    marker = f"dteg-marker-{secret}"
    process = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(3600)", marker], env={"DTEG_GATE_SECRET": secret}
    )
    os.environ["DTEG_GATE_SECRET"] = secret
    yield {
        "port": listener.getsockname()[1], "address": own_address(), "abstract": f"dteg-{secret}",
        "socket": folder / "socket", "file": folder / "file", "checkout": CHECKOUT, "secret": secret, "marker": marker,
        "pid": process.pid, "base": sandbox.environment.root, "library": sandbox.environment.library,
    }  # fmt: skip
    del os.environ["DTEG_GATE_SECRET"]
    assert process.poll() is None, "an attempt killed a process outside"
    process.kill()
    process.wait()
    for each in (listener, unix, abstract):
        each.close()
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def own_address():
    """Return an address of this machine that is not the loopback's, if it has one."""
    for addresses in psutil.net_if_addrs().values():
        for each in addresses:
            if each.family == socket.AF_INET and not each.address.startswith("127."):
                return each.address
    return "127.0.0.2"


@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda each: each.name)
def test_attempt_is_refused(attempt, attack, outside, facts):
    # Inside, the base environment has another path; what counts is that it cannot be written by its own.
    inside = {**facts, "base": "/base", "library": "/dteg"}
    outcome = attack(program(attempt.code.format(**inside)))
    assert "TRIED" in outcome.log, outcome.log
    assert "SUCCEEDED" not in outcome.log, f"escaped: {outcome.log}"
    assert "REFUSED" in outcome.log or outcome.killed, outcome.log
    if attempt.control and os.geteuid() == 0:
        text = outside(program(attempt.code.format(**facts)))
        assert "SUCCEEDED" in text, f"no real attempt, it fails outside too: {text}"


def test_there_are_enough_attempts():
    assert len({each.name for each in ATTEMPTS}) == len(ATTEMPTS) >= 40


def test_fork_bomb_ends_at_the_limit(attack):
    code = """
import os, signal, time
children = []
try:
    for number in range(2000):
        pid = os.fork()
        if pid == 0:
            time.sleep(30); os._exit(0)
        children.append(pid)
except OSError as error:
    print('STOPPED', error.errno, len(children), flush=True)
else:
    print('SUCCEEDED', flush=True)
for pid in children: os.kill(pid, signal.SIGKILL)
"""
    outcome = attack(code, processes=100)
    assert "SUCCEEDED" not in outcome.log
    assert "STOPPED 11" in outcome.log, outcome.log  # EAGAIN
    assert 20 < int(outcome.log.split()[2]) < 100


def test_memory_of_one_process(attack):
    code = "print('TRIED', flush=True)\ndata = b'x' * (3 << 30)\nprint('SUCCEEDED', len(data), flush=True)"
    outcome = attack(code, address_space=1 << 30)
    assert "TRIED" in outcome.log
    assert "SUCCEEDED" not in outcome.log
    assert "MemoryError" in outcome.result()["error"]


MANY = """
import os, time
print('TRIED', flush=True)
for number in range(6):
    if os.fork() == 0:
        time.sleep(number / 3)
        data = bytearray(os.urandom(1 << 20)) * 150
        print('HOLDS', len(data), flush=True)
        time.sleep(30); os._exit(0)
time.sleep(15)
print('SUCCEEDED', flush=True)
"""


def test_memory_of_many_processes_is_seen_from_outside(attack):
    outcome = attack(MANY, memory=500 << 20)
    assert "HOLDS" in outcome.log
    assert "SUCCEEDED" not in outcome.log
    assert "500 MiB of memory" in outcome.killed
    assert outcome.peak_memory > 500 << 20
    assert attack(MANY.replace("sleep(15)", "sleep(5)"), memory=2000 << 20).killed == "", (
        "the control run was killed too"
    )


def test_memory_in_anonymous_files_counts(attack):
    code = """
import os, time
print('TRIED', flush=True)
files = [os.memfd_create(str(number)) for number in range(20)]
for file in files:
    for _ in range(50):
        os.write(file, bytes(1 << 20))
time.sleep(3)
print('SUCCEEDED', flush=True)
"""
    outcome = attack(code, memory=400 << 20)
    assert "TRIED" in outcome.log
    assert "SUCCEEDED" not in outcome.log
    assert "memory" in outcome.killed


@pytest.mark.parametrize(("place", "limit"), [("/work", 64), ("/tmp", 64), ("/dev/shm", 64)])
def test_disk_fills_up_to_its_limit_only(attack, place, limit):
    code = f"""
written = 0
try:
    for number in range(100):
        with open(f'{place}/{{number}}', 'wb') as file:
            for _ in range(10):
                file.write(bytes(1 << 20)); file.flush()
                written += 1
except OSError as error:
    print('STOPPED', error.errno, written, flush=True)
else:
    print('SUCCEEDED', flush=True)
"""
    outcome = attack(code, work=limit << 20)
    assert "STOPPED 28" in outcome.log, outcome.log  # ENOSPC
    assert limit - 12 <= int(outcome.log.split()[2]) <= limit


def test_one_file_ends_at_its_limit(attack):
    code = """
try:
    with open('/work/file', 'wb') as file:
        for number in range(100):
            file.write(bytes(1 << 20)); file.flush()
except OSError as error:
    print('STOPPED', error.errno, number, flush=True)
else:
    print('SUCCEEDED', flush=True)
"""
    outcome = attack(code, file_size=20 << 20)
    assert "STOPPED 27 20" in outcome.log, outcome.log  # EFBIG


def test_open_files_end_at_their_limit(attack):
    code = """
files = []
try:
    for number in range(5000):
        files.append(open('/dev/null'))
except OSError as error:
    print('STOPPED', error.errno, number, flush=True)
else:
    print('SUCCEEDED', flush=True)
files.clear()
"""
    outcome = attack(code, open_files=100)
    assert "STOPPED 24" in outcome.log, outcome.log  # EMFILE


def test_output_is_cut_off(attack):
    outcome = attack(
        "import sys\nfor _ in range(400):\n    sys.stdout.write('x' * 99_999 + '\\n')\nprint('DONE')"
    )
    assert len(outcome.log) < 1_100_000
    assert "more bytes were cut off" in outcome.log
    assert outcome.result() is not None, "a flood of output must not end the run"


def test_output_cannot_act_on_a_terminal(attack):
    outcome = attack("print('before\\x1b]0;title\\x07\\x1b[2Jafter')")
    assert "before" in outcome.log
    assert "\x1b" not in outcome.log


def test_processor_time_ends(attack):
    outcome = attack("print('TRIED', flush=True)\nwhile True: pass", cpu_s=2)
    assert "TRIED" in outcome.log
    assert outcome.result() is None
    assert outcome.duration_s < 20


def test_wall_time_ends_even_if_signals_are_ignored(attack):
    code = """
import signal, time
for number in range(1, 32):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
print('TRIED', flush=True)
while True: time.sleep(1)
"""
    started = time.monotonic()
    outcome = attack(code, wall_s=8)
    assert "TRIED" in outcome.log
    assert outcome.killed
    assert time.monotonic() - started < 60


def left_behind(folder):
    return [
        each.info for each in psutil.process_iter(["pid", "uids", "cmdline"])
        if each.info["uids"] and each.info["uids"].real >= 200_000
        and any(str(folder) in part for part in each.info["cmdline"] or ())
    ]  # fmt: skip


def test_nothing_lives_on_after_the_end(attack, tmp_path):
    code = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        print('ORPHAN', flush=True)
        time.sleep(1000)
    os._exit(0)
time.sleep(1)
"""
    outcome = attack(code, wall_s=60)
    assert "ORPHAN" in outcome.log
    assert outcome.duration_s < 50
    if os.geteuid() == 0:
        deadline = time.monotonic() + 30
        while left := left_behind(tmp_path):
            assert time.monotonic() < deadline, left
            time.sleep(0.1)


FORGED = '{"kind": "result", "error": "", "schema": {}, "is_kind": true, "examples": []}'


def test_results_on_the_pipe_need_the_nonce(attack):
    code = f"""
import os
written = []
for descriptor in range(3, 64):
    try:
        os.write(descriptor, b'{FORGED}\\n')
        written.append(descriptor)
    except OSError:
        pass
print('WROTE', written, flush=True)
os._exit(0)
"""
    outcome = attack(code)
    assert "WROTE [" in outcome.log
    assert "WROTE []" not in outcome.log, "no pipe was found: no real attempt"
    assert outcome.forged
    assert outcome.result() is None


def test_results_on_standard_output_are_only_text(attack):
    outcome = attack(f"import os\nprint('{FORGED}', flush=True)\nos._exit(0)")
    assert '"is_kind": true' in outcome.log
    assert outcome.messages == ()
    assert outcome.result() is None


def test_a_second_result_is_no_result(attack):
    """Whoever finds the nonce in the memory of its own process still cannot take the true result back."""
    code = """
import gc, os, threading, time
def hunt():
    import dteg.gates.inside.inspection as module, sys
    for frame in sys._current_frames().values():
        while frame:
            send = frame.f_locals.get('send')
            if send:
                send({'kind': 'result', 'error': '', 'schema': {}, 'is_kind': True, 'examples': []})
                print('FOUND', flush=True)
                return
            frame = frame.f_back
hunt()
"""
    outcome = attack(code)
    assert "FOUND" in outcome.log
    assert outcome.result() is None


def test_a_flood_of_results_ends_the_run(attack):
    code = """
import os
print('TRIED', flush=True)
for descriptor in range(3, 64):
    try:
        while True: os.write(descriptor, b'x' * 65536)
    except OSError:
        pass
"""
    outcome = attack(code, results=1 << 20)
    assert "TRIED" in outcome.log
    assert "MiB of results" in outcome.killed


def test_standard_input_is_empty(attack):
    assert "READ ''" in attack("import sys\nprint('READ', repr(sys.stdin.read()), flush=True)").log


def test_own_loopback_works(attack):
    code = """
import socket
server = socket.create_server(('127.0.0.1', 0))
client = socket.create_connection(server.getsockname(), 3)
print('CONNECTED', flush=True)
"""
    assert "CONNECTED" in attack(code).log
