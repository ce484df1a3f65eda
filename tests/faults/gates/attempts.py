"""What code in the sandbox may try. Each is a program that ends without error if it succeeded."""

from dataclasses import dataclass

PREAMBLE = """
import ctypes, errno, os, signal, socket, stat, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def checked(result):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
"""


@dataclass(frozen=True)
class Attempt:
    """One attempt.

    Attributes:
        name: What it wants.
        code: Program; `{...}` are facts of the test's machine.
        control: Whether the same program succeeds outside the sandbox (as root): proof that it is a real attempt.
    """

    name: str
    code: str
    control: bool = True


ATTEMPTS = [
    Attempt("tcp-to-the-hosts-loopback", "socket.create_connection(('127.0.0.1', {port}), 3)"),
    Attempt("tcp-to-the-hosts-address", "socket.create_connection(('{address}', {port}), 3)"),
    Attempt("udp-to-another-machine", "s = socket.socket(type=socket.SOCK_DGRAM); s.connect(('192.0.2.1', 53)); s.send(b'x')", control=False),
    Attempt("dns", "socket.getaddrinfo('example.com', 443)", control=False),
    Attempt("abstract-unix-socket", "s = socket.socket(socket.AF_UNIX); s.connect('\\0{abstract}')"),
    Attempt("unix-socket-in-a-folder", "s = socket.socket(socket.AF_UNIX); s.connect('{socket}')"),
    Attempt("read-etc-shadow", "open('/etc/shadow').read()"),
    Attempt("list-root-home", "os.listdir('/root')"),
    Attempt("read-a-readable-file-of-somebody", "open('{file}').read()"),
    Attempt("read-the-checkout", "open('{checkout}/pyproject.toml').read()"),
    Attempt("read-the-gates-folder", "os.listdir('/var/lib/dteg')"),
    Attempt("secret-in-own-environment", "assert os.environ['DTEG_GATE_SECRET'] == '{secret}'"),
    Attempt(
        "secret-in-any-environment",
        """
found = False
for pid in os.listdir('/proc'):
    try:
        found |= pid.isdigit() and b'{secret}' in open(f'/proc/{{pid}}/environ', 'rb').read()
    except OSError:
        pass
assert found
""",
    ),
    Attempt(
        "list-host-processes",
        """
lines = []
for pid in os.listdir('/proc'):
    try:
        lines.append(open(f'/proc/{{pid}}/cmdline', 'rb').read())
    except OSError:
        pass
assert any(b'{marker}' in line for line in lines)
""",
    ),
    Attempt("signal-a-host-process", "os.kill({pid}, 0)"),
    Attempt("ptrace-a-host-process", "checked(libc.ptrace(16, {pid}, 0, 0)); os.waitpid({pid}, 0x40000000); libc.ptrace(17, {pid}, 0, 0)"),
    Attempt("read-memory-of-a-host-process", "open('/proc/{pid}/mem', 'rb')"),
    Attempt("root-of-the-first-process", "open('/proc/1/root{checkout}/pyproject.toml').read()", control=False),
    Attempt("write-usr", "open('/usr/lib/dteg-gate-probe', 'w').close(); os.unlink('/usr/lib/dteg-gate-probe')"),
    Attempt("write-the-base-environment", "open('{base}/site/probe.py', 'w').close(); os.unlink('{base}/site/probe.py')"),
    Attempt("write-dteg", "open('{library}/dteg/probe.py', 'w').close(); os.unlink('{library}/dteg/probe.py')"),
    Attempt("write-the-root", "open('/dteg-gate-probe', 'w').close(); os.unlink('/dteg-gate-probe')"),
    Attempt("write-etc", "open('/etc/dteg-gate-probe', 'w').close(); os.unlink('/etc/dteg-gate-probe')"),
    Attempt("write-dev", "open('/dev/dteg-gate-probe', 'w').close(); os.unlink('/dev/dteg-gate-probe')"),
    Attempt("become-root", "os.setuid(0)"),
    Attempt("become-another-user", "os.setgroups([]); os.setresuid(200000, 200000, 200000)"),
    Attempt("new-privileges-by-a-setuid-program", "assert 'NoNewPrivs:\\t0' in open('/proc/self/status').read()"),
    Attempt("capabilities", "assert 'CapBnd:\\t0000000000000000' not in open('/proc/self/status').read()"),
    Attempt("nested-user-namespace", "checked(libc.unshare(0x10000000))"),
    Attempt("nested-mount-namespace", "checked(libc.unshare(0x00020000))"),
    Attempt("mount", "os.makedirs('/tmp/m', exist_ok=True); checked(libc.mount(b'none', b'/tmp/m', b'tmpfs', 0, None)); libc.umount(b'/tmp/m')"),
    Attempt("remount-usr-writable", "checked(libc.unshare(0x00020000)); checked(libc.mount(None, b'/', None, 0x44000, None)); checked(libc.mount(b'/usr', b'/usr', None, 0x1000, None)); checked(libc.mount(None, b'/usr', None, 0x1020, None))"),
    Attempt("make-a-device", "os.mknod('/tmp/probe', 0o600 | stat.S_IFBLK, os.makedev(8, 0)); os.unlink('/tmp/probe')"),
    Attempt("chroot", "os.chroot('/tmp')"),
    Attempt("set-the-clock", "time.clock_settime(time.CLOCK_REALTIME, time.time())"),
    Attempt("set-the-host-name", "socket.sethostname(socket.gethostname())"),
    Attempt("raise-own-limits", "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (resource.RLIM_INFINITY,) * 2); resource.setrlimit(resource.RLIMIT_CPU, (resource.RLIM_INFINITY,) * 2)", control=False),
    Attempt("lower-own-niceness", "os.nice(-5)"),
    Attempt("link-out-of-the-work-folder", "os.path.lexists('/tmp/l') and os.unlink('/tmp/l'); os.symlink('/etc/shadow', '/tmp/l'); open('/tmp/l').read()"),
    Attempt("kernel-log", "open('/dev/kmsg').close()"),
    Attempt("kernel-settings", "open('/proc/sys/kernel/core_pattern', 'a').close()"),
]  # fmt: skip
