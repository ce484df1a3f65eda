"""Which capabilities of the manifest a module's code uses, told from its imports and calls."""

import ast
from collections.abc import Iterator
from typing import Protocol


class _Names(Protocol):
    @property
    def modules(self) -> list[tuple[str, int]]: ...
    def of(self, node: ast.AST) -> str: ...


_MODULES: dict[str, tuple[str, ...]] = {
    "network": (
        "socket", "ssl", "socketserver", "http.client", "http.server", "urllib.request", "ftplib", "smtplib", "imaplib",
        "poplib", "telnetlib", "nntplib", "xmlrpc", "asyncio.open_connection", "asyncio.start_server", "httpx", "requests",
        "urllib3", "aiohttp", "websockets", "paramiko", "psycopg", "psycopg2", "asyncpg", "pymysql", "MySQLdb", "mysql",
        "oracledb", "pyodbc", "snowflake", "pymongo", "motor", "redis", "kafka", "confluent_kafka", "pika", "nats", "boto3",
        "botocore", "aiobotocore", "google.cloud", "googleapiclient", "azure", "grpc", "elasticsearch", "opensearchpy",
        "clickhouse_connect", "clickhouse_driver", "cassandra", "neo4j", "ldap3", "openai", "anthropic", "stripe",
        "simple_salesforce", "slack_sdk", "tornado", "twisted", "zmq", "dteg.connectors.http", "dteg.core.postgres",
    ),
    "filesystem": (
        "shutil", "tempfile", "glob", "fileinput", "mmap", "sqlite3", "duckdb", "zipfile", "tarfile", "fsspec",
        "pyarrow.fs",
    ),
    "subprocess": ("subprocess", "multiprocessing", "pty", "pexpect", "sh", "plumbum", "concurrent.futures.ProcessPoolExecutor"),
    "native": ("ctypes", "cffi", "_ctypes", "numba", "cppyy", "pyximport"),
}  # fmt: skip
_CALLS: dict[str, tuple[str, ...]] = {
    "filesystem": (
        "open", "io.open", "os.open", "os.remove", "os.unlink", "os.rename", "os.replace", "os.mkdir", "os.makedirs",
        "os.rmdir", "os.listdir", "os.scandir", "os.walk", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
        "pyarrow.OSFile", "pyarrow.memory_map", "gzip.open", "bz2.open", "lzma.open",
    ),
    "subprocess": (
        "os.system", "os.popen", "os.fork", "os.forkpty", "os.execv", "os.execve", "os.execvp", "os.execl", "os.execlp",
        "os.spawnv", "os.spawnl", "os.posix_spawn", "os.posix_spawnp", "asyncio.create_subprocess_exec",
        "asyncio.create_subprocess_shell", "os.kill", "os.killpg",
    ),
    "native": ("sys.setdlopenflags", "importlib.machinery.ExtensionFileLoader"),
}  # fmt: skip
# Methods of pathlib.Path that no other type here has.
_PATH_METHODS = frozenset(
    ["read_text", "read_bytes", "write_text", "write_bytes", "iterdir", "unlink", "mkdir", "rmdir", "rglob", "symlink_to", "touch"]
)  # fmt: skip


def capabilities_of(tree: ast.AST, names: _Names) -> Iterator[tuple[str, str, int]]:
    """Yield capability, what uses it, and the line."""
    typing_only = _typing_only_lines(tree)
    for module, line in names.modules:
        if line in typing_only:
            continue
        for capability, patterns in _MODULES.items():
            if _matches(module, patterns):
                yield capability, f"import {module}", line
    has_paths = any(_matches(module, ("pathlib",)) for module, _ in names.modules)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = names.of(node.func)
            for capability, patterns in _CALLS.items():
                if name in patterns:
                    yield capability, f"{name}()", node.lineno
            methods = _PATH_METHODS | ({"open"} if has_paths else set())
            if isinstance(node.func, ast.Attribute) and node.func.attr in methods:
                yield "filesystem", f".{node.func.attr}()", node.lineno


def _typing_only_lines(tree: ast.AST) -> set[int]:
    """Return the lines below `if TYPE_CHECKING:`, which never run."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If):
            test = node.test
            name = (
                test.id
                if isinstance(test, ast.Name)
                else test.attr
                if isinstance(test, ast.Attribute)
                else ""
            )
            if name == "TYPE_CHECKING":
                for child in node.body:
                    lines.update(range(child.lineno, (child.end_lineno or child.lineno) + 1))
    return lines


def _matches(module: str, patterns: tuple[str, ...]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in patterns)
