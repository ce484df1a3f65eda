"""dteg's own rules for the text of components: what a program looks like that wants more than to move data.

Rules on the syntax tree are here, rules on plain text in `rules/component.yar`. Both find what an author wrote, not what
a determined one hides: the sandbox and the review of capabilities are for the rest.
"""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dteg.gates.capabilities import capabilities_of

RULES_FOLDER = Path(__file__).parent / "rules"
_Found = dict[str, Any]

# Called names, after imports are resolved; a trailing dot means everything below.
_RUNS_TEXT = {"exec", "eval", "builtins.exec", "builtins.eval", "compile"}
_FETCHES = (
    "urllib.request.urlopen",
    "requests.get",
    "requests.post",
    "httpx.get",
    "httpx.post",
    "httpx.stream",
)
_DECODES = ("base64.", "codecs.decode", "binascii.", "zlib.decompress", "marshal.loads", "bytes.fromhex")
_UNPICKLES = ("pickle.load", "pickle.loads", "pickle.Unpickler", "dill.load", "dill.loads", "marshal.load",
              "marshal.loads", "shelve.open", "cloudpickle.load", "cloudpickle.loads", "joblib.load")  # fmt: skip
_MEASURES = ("coverage", "_pytest", "dteg.gates", "sys.settrace", "sys.setprofile", "sys.monitoring", "threading.settrace",
             "gc.get_objects", "gc.get_referrers", "inspect.stack", "inspect.currentframe", "sys._getframe",
             "sys._current_frames", "sys.addaudithook")  # fmt: skip
_DEBUGS = ("ptrace", "pdb.", "faulthandler.", "code.interact", "pty.spawn")
_INSTALLS = ("pip.", "ensurepip.", "setuptools.", "distutils.", "easy_install")
_METHODS = {"to_pickle", "read_pickle"}


def scan_code(name: str, content: bytes) -> tuple[list[_Found], list[_Found]]:
    """Look at one Python file.

    Args:
        name: Path inside the component.
        content: Its bytes.

    Returns:
        Findings, and capabilities that its code uses, with their lines; none for a file of tests.
    """
    try:
        tree = ast.parse(content, name)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [_found("unreadable-code", "HIGH", f"is not Python: {error}", name, None)], []
    names = Names(tree)
    findings = [_found(rule, level, text, name, line) for rule, level, text, line in _rules(tree, names)]
    is_test = is_test_file(name)
    used = [] if is_test else [
        {"capability": capability, "what": what, "file": name, "line": line}
        for capability, what, line in capabilities_of(tree, names)
    ]  # fmt: skip
    if is_test:
        findings = [each for each in findings if each["rule"] not in _FINE_IN_TESTS]
    return findings, used


_FINE_IN_TESTS = {"dteg-env-dump", "dteg-pickle", "dteg-long-encoded-text"}


def scan_text(name: str, content: bytes) -> list[_Found]:
    """Look at one file of text, by the YARA rules."""
    found = []
    for match in _yara().match(data=content):
        if is_test_file(name) and match.meta.get("tests") == "skip":
            continue
        offset = min(
            (instance.offset for string in match.strings for instance in string.instances), default=0
        )
        line = content.count(b"\n", 0, offset) + 1
        level = str(match.meta["severity"])
        found.append(_found(match.rule.replace("_", "-"), level, str(match.meta["description"]), name, line))
    return found


def is_test_file(name: str) -> bool:
    """Whether a path belongs to the component's tests, which are run by nobody else."""
    parts = name.split("/")
    return parts[-1].startswith("test_") or parts[-1] == "conftest.py" or "tests" in parts[:-1]


class Names:
    """What the names of a module mean, by its imports."""

    def __init__(self, tree: ast.AST) -> None:
        """Collect all imports, those inside functions included."""
        self.aliases: dict[str, str] = {}
        self.modules: list[tuple[str, int]] = []
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    self.modules.append((alias.name, node.lineno))
                    self.aliases[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                for alias in node.names:
                    self.modules.append((f"{node.module}.{alias.name}", node.lineno))
                    self.aliases[alias.asname or alias.name] = f"{node.module}.{alias.name}"

    def of(self, node: ast.AST) -> str:
        """Return the full dotted name of an expression, empty if it has none."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self.aliases.get(node.id, node.id), *reversed(parts)])


def matches(name: str, patterns: tuple[str, ...] | set[str]) -> bool:
    """Whether a dotted name is one of the patterns or lies below it."""
    return any(name == each.rstrip(".") or name.startswith(each.rstrip(".") + ".") for each in patterns)


Rule = tuple[str, str, str, int]


def _rules(tree: ast.AST, names: Names) -> Iterator[Rule]:
    for module, line in names.modules:
        if matches(module, _MEASURES):
            yield "dteg-tampering", "HIGH", f"reaches for what measures it ({module})", line
        if matches(module, _INSTALLS):
            yield "dteg-installer", "HIGH", f"brings its own installer ({module})", line
        if matches(module, ("ptrace", "pdb")):
            yield "dteg-debugger", "HIGH", f"uses a debugger ({module})", line
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call_rules(node, names)
        elif isinstance(node, ast.Attribute) and matches(names.of(node), _MEASURES):
            yield "dteg-tampering", "HIGH", f"reaches for what measures it ({names.of(node)})", node.lineno
        elif isinstance(node, ast.Constant) and _is_packed(node.value):
            yield "dteg-long-encoded-text", "HIGH", "hides a long piece of encoded text in code", node.lineno
        elif isinstance(node, ast.Attribute) and node.attr in _ESCAPES:
            yield (
                "dteg-object-tricks",
                "HIGH",
                f"walks through Python's inner parts ({node.attr})",
                node.lineno,
            )
        elif isinstance(node, ast.ClassDef) and any(_is_command(names.of(base)) for base in node.bases):
            yield "dteg-install-hook", "HIGH", f"{node.name} runs at installation", node.lineno
        elif isinstance(node, ast.Assign | ast.AugAssign) and _patches_builtins(node, names):
            yield "dteg-monkeypatch", "HIGH", "replaces a part of Python or dteg for everybody", node.lineno


_PACKED = re.compile(r"[A-Za-z0-9+/=_-]{1000,}")


def _is_packed(value: object) -> bool:
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if not isinstance(text, str) or len(text) < 200:
        return False
    odd = sum(not (each.isprintable() or each in "\n\t\r") for each in text)
    return odd > len(text) / 4 or bool(_PACKED.fullmatch(text.strip()))


_ESCAPES = {"__subclasses__", "__globals__", "f_globals", "f_locals", "__builtins__", "gi_frame", "tb_frame"}


def _call_rules(call: ast.Call, names: Names) -> Iterator[Rule]:
    name, line = names.of(call.func), call.lineno
    yield from _text_as_code(call, name, names)
    yield from _environment(call, name, names)
    yield from _made_at_run_time(call, name, names)
    connects = matches(name, ("socket.create_connection",)) or name.endswith(".connect")
    if connects and (address := _literal_address(call)):
        yield "dteg-fixed-address", "HIGH", f"connects to the fixed address {address}", line
    if matches(name, _UNPICKLES) or name.rpartition(".")[2] in _METHODS:
        yield "dteg-pickle", "HIGH", f"{name}() runs whatever the data says", line
    if matches(name, _DEBUGS):
        yield "dteg-debugger", "HIGH", f"{name}() opens a debugger or terminal", line
    if name in ("types.CodeType", "types.FunctionType"):
        yield "dteg-object-tricks", "HIGH", f"makes code by hand ({name})", line
    is_setup = name == "setup" or name.endswith(".setup")
    if is_setup and any(keyword.arg == "cmdclass" for keyword in call.keywords):
        yield "dteg-install-hook", "HIGH", "cmdclass runs code at installation", line


def _text_as_code(call: ast.Call, name: str, names: Names) -> Iterator[Rule]:
    if name not in _RUNS_TEXT:
        return
    nodes = [node for argument in call.args for node in ast.walk(argument)]
    inner = {names.of(node.func) for node in nodes if isinstance(node, ast.Call)}
    if any(matches(each, _FETCHES) for each in inner):
        yield "dteg-exec-download", "HIGH", f"{name}() of downloaded text", call.lineno
    elif any(matches(each, _DECODES) for each in inner):
        yield "dteg-exec-decoded", "HIGH", f"{name}() of decoded text", call.lineno
    elif name != "compile":
        yield "dteg-exec", "HIGH", f"{name}() runs text as code", call.lineno


def _environment(call: ast.Call, name: str, names: Names) -> Iterator[Rule]:
    copies = name in ("os.environ.copy", "os.environ.items", "os.environ.values")
    takes = name in ("dict", "json.dumps", "str", "repr")
    if copies or (takes and any(names.of(each) == "os.environ" for each in call.args)):
        yield "dteg-env-dump", "HIGH", "takes the whole environment, secrets included", call.lineno


def _made_at_run_time(call: ast.Call, name: str, names: Names) -> Iterator[Rule]:
    if name in ("__import__", "importlib.import_module", "importlib.__import__") and not _literal(call):
        yield "dteg-dynamic-import", "MEDIUM", "imports a module whose name is made at run time", call.lineno
    if name == "getattr" and len(call.args) > 1 and not _literal(call, 1):
        owner = names.of(call.args[0])
        if owner in _MODULES:
            message = f"calls functions of {owner} by a name made at run time"
            yield "dteg-dynamic-call", "MEDIUM", message, call.lineno


_MODULES = {"os", "sys", "subprocess", "socket", "builtins", "ctypes", "importlib", "shutil"}


def _literal(call: ast.Call, place: int = 0) -> bool:
    return len(call.args) > place and isinstance(call.args[place], ast.Constant)


def _literal_address(call: ast.Call) -> str:
    for argument in call.args:
        for part in argument.elts if isinstance(argument, ast.Tuple) else [argument]:
            text = part.value if isinstance(part, ast.Constant) else None
            if isinstance(text, str) and _ADDRESS.fullmatch(text) and not text.startswith("127."):
                return text
    return ""


_ADDRESS = re.compile(r"\d{1,3}(\.\d{1,3}){3}|[a-z0-9-]+(\.[a-z0-9-]+)+")


def _is_command(base: str) -> bool:
    return matches(
        base, ("setuptools.command", "distutils.command", "setuptools.Command", "distutils.cmd.Command")
    )


def _patches_builtins(node: ast.Assign | ast.AugAssign, names: Names) -> bool:
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    for target in targets:
        if isinstance(target, ast.Attribute):
            owner = names.of(target.value)
            if owner in _MODULES or matches(owner, ("builtins", "dteg", "pytest", "coverage")):
                return owner in names.aliases.values() or owner == "builtins"
    return False


def _found(rule: str, severity: str, message: str, file: str, line: int | None) -> _Found:
    return {
        "tool": "dteg", "rule": rule, "severity": severity, "confidence": "HIGH", "message": message, "file": file,
        "line": line,
    }  # fmt: skip


@functools.cache
def _yara() -> Any:
    import yara

    return yara.compile(filepaths={path.stem: str(path) for path in sorted(RULES_FOLDER.glob("*.yar"))})
