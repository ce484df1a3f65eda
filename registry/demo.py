"""What `make demo-registry` runs: a registry of one's own, all first-party connectors in it, and one pipeline of them.

Everything is done through programs and HTTP, as a person would. `--keep` leaves the registry running until Ctrl-C.
"""

import argparse
import json
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dteg.core.document_server import find_program
from dteg.core.errors import DtegError, EnvironmentProblemError, QualityGateError
from dteg.gates.runner import NoSandboxError
from dteg.gates.sandbox import Sandbox
from dteg.manifest import MANIFEST_NAME, REQUIRED_GATES, Manifest, read_manifest
from registry.trial import RegistryProcess, StepFailedError, Workplace

NAMESPACE = "dteg"
COMPONENTS = Path(__file__).parents[1] / "components"
PUBLISHERS = 2  # while the gates of one component run, the next one is built, signed and waits its turn
_MARKS = {"passed": "[green]✓[/]", "failed": "[red]✗[/]", "unknown": "[yellow]?[/]"}
_SEARCHABLE_S = 30.0

ORDERS = """id,customer,amount
1,ada,19.90
2,bob,5.00
2,bob,5.00
3,eve,120.00
1,ada,19.90
"""
PIPELINE = """pipeline:
  name: orders
  steps:
    - extract: {type: "dteg://dteg/files", config: {path: data/orders.csv}}
    - process: {type: "dteg://dteg/deduplicate", config: {key: [id]}}
    - load: {type: "dteg://dteg/files", config: {path: out/orders.csv}, write: replace}
"""


@dataclass
class Published:
    """What became of one component.

    Attributes:
        manifest: Its manifest.
        release: What the registry says of the release; {} if it has none.
        seconds: How long its gates took.
        printed: What `dteg publish` printed.
    """

    manifest: Manifest
    release: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    printed: str = ""

    @property
    def state(self) -> str:
        """State of the release."""
        return str(self.release.get("state", "not sent"))


class Tale:
    """Tells the person what is going on: a spinner on a terminal, plain lines elsewhere."""

    def __init__(self) -> None:
        self.console = Console(highlight=False)

    def say(self, *things: Any) -> None:
        """Print."""
        self.console.print(*things, soft_wrap=not self.console.is_terminal)

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show that something is being done."""
        if not self.console.is_terminal:
            self.say(f"{text} ...")
            yield
            return
        with self.console.status(text):
            yield


def main() -> int:
    """Run the demo and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m registry.demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the registry running until Ctrl-C")
    keep = bool(parser.parse_args().keep)
    folder = Path(tempfile.mkdtemp(prefix="dteg-demo-"))
    try:
        return run(folder, keep=keep)
    except DtegError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(folder: Path, *, keep: bool) -> int:
    """Play the whole story in a folder."""
    tale, started = Tale(), time.perf_counter()
    manifests = {path.parent: read_manifest(path) for path in sorted(COMPONENTS.glob(f"*/*/{MANIFEST_NAME}"))}
    if not manifests:
        raise EnvironmentProblemError(f"no components in {COMPONENTS}; run this in a checkout")
    with tale.working("Preparing the sandbox of the gates"):
        check_machine()
    with tale.working("Starting the registry and its document server"):
        server = RegistryProcess(folder / "registry")
        server.__enter__()
    try:
        tale.say(f"registry: {server.url}")
        publisher = Workplace(folder / "publisher", server.url)
        make_publisher(publisher, server)
        tale.say(
            f"\nPublishing the {len(manifests)} connectors of this checkout; each goes through all gates:"
        )
        published = publish_all(tale, publisher, server.url, manifests)
        tale.say("", table_of(published))
        if refused := [each for each in published if each.state != "listed"]:
            return report_refused(tale, refused)
        user = use_them(tale, folder / "user", server, len(manifests))
        tell_where(tale, server, time.perf_counter() - started)
        if keep:
            stay(tale, server, user)
        return 0
    finally:
        with tale.working("Stopping the registry"):
            server.__exit__()


def check_machine() -> None:
    """Refuse to begin where the gates could not pass.

    Raises:
        EnvironmentProblemError: A program is missing; says which and what to do.
    """
    find_program()
    try:
        Sandbox.create()
    except NoSandboxError as error:
        raise EnvironmentProblemError(
            f"the gates run components in a sandbox, and there is none here: {error}; without it nothing can be listed"
        ) from None


def make_publisher(publisher: Workplace, server: RegistryProcess) -> None:
    """Make an account with the namespace and a key. The name is reserved, so the administrator hands it over."""
    password = server.make_account("publisher")
    with server.admin() as admin:
        admin.post("/namespaces", json={"name": NAMESPACE}).raise_for_status()
        member = f"/namespaces/{NAMESPACE}/members/publisher"
        admin.put(member, json={"role": "owner"}).raise_for_status()
    publisher.log_in("publisher", password)
    publisher.run("key", "create", NAMESPACE)


def publish_all(
    tale: Tale, publisher: Workplace, url: str, manifests: dict[Path, Manifest]
) -> list[Published]:
    """Publish every component and tell of each as it ends."""
    done: list[Published] = []
    with (
        tale.working("Gates are running"),
        ThreadPoolExecutor(PUBLISHERS) as pool,
    ):
        waiting = [pool.submit(publish, publisher, url, *each) for each in manifests.items()]
        for each in as_completed(waiting):
            one = each.result()
            done.append(one)
            mark = "[green]listed[/]" if one.state == "listed" else f"[red]{escape(one.state)}[/]"
            count = f"{len(done):>2}/{len(manifests)}"
            tale.say(f"  {count}  {one.manifest.slug:<30} {mark}  {one.seconds:.1f} s")
    return sorted(done, key=lambda each: (each.manifest.kind, each.manifest.slug))


def publish(publisher: Workplace, url: str, folder: Path, manifest: Manifest) -> Published:
    """Publish one component and wait for the verdict."""
    done = publisher.run("publish", folder, "--namespace", NAMESPACE, code=None)
    one = Published(manifest, printed=done.text)
    base = f"{url}/api/v1/components/{NAMESPACE}/{manifest.slug}/releases/{manifest.version}"
    answer = httpx.get(base, timeout=30)
    if answer.status_code == 200:
        one.release = answer.json()
        results = httpx.get(f"{base}/gates", timeout=30).json()["results"]
        one.seconds = sum(float(each["duration_s"]) for each in results)
    return one


def table_of(published: list[Published]) -> Table:
    """Return what the gates said of each component; narrow enough for 80 columns."""
    title = f"Connectors in the registry; gates: {', '.join(REQUIRED_GATES)}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name, justify in (
        ("component", "left"), ("version", "left"), ("gates", "left"), ("score", "right"), ("seconds", "right"),
        ("state", "left"),
    ):  # fmt: skip
        table.add_column(name, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for each in published:
        gates = each.release.get("gates", {})
        marks = "".join(_MARKS.get(gates.get(gate, ""), "-") for gate in REQUIRED_GATES)
        score = each.release.get("score")
        table.add_row(
            each.manifest.slug, each.manifest.version, marks, "-" if score is None else f"{score:.0f}",
            f"{each.seconds:.1f}", escape(each.state),
        )  # fmt: skip
    return table


def report_refused(tale: Tale, refused: list[Published]) -> int:
    """Say why components are not listed."""
    for each in refused:
        tale.say(f"\n[red]{each.manifest.slug} is not listed:[/]", escape(each.printed.strip()))
    tale.say(
        f"\n[red]{len(refused)} first-party connectors are not listed.[/] The same rules by hand: dteg test NAME --gates"
    )
    return 1


def use_them(tale: Tale, folder: Path, server: RegistryProcess, expected: int) -> Workplace:
    """Install what a pipeline names into an environment without connectors, run it and rate one.

    Raises:
        QualityGateError: The pipeline brought other rows than it must.
        StepFailedError: A command failed.
    """
    with tale.working("Making a scratch environment with dteg and no connector"):
        user = Workplace(folder, server.url, environment="bare")
        user.log_in("visitor", server.make_account("visitor"))
        user.write({"pipelines/orders.yaml": PIPELINE, "data/orders.csv": ORDERS})
        wait_until_found(user, expected)
    tale.say(
        f"\nA project elsewhere, whose pipeline names connectors it does not have:\n\n{escape(PIPELINE)}"
    )
    before = user.run("run", "orders", code=2)
    tale.say(f"$ dteg run orders\n  {escape(before.err.strip())}")
    for arguments in (("install",), ("run", "orders"), ("rate", "deduplicate", "5")):
        done = user.run(*arguments)
        tale.say(f"$ dteg {' '.join(arguments)}")
        for line in done.text.strip().splitlines():
            tale.say(f"  {escape(line)}")
    tale.say("$ cat out/orders.csv")
    rows = (user.project / "out" / "orders.csv").read_text(encoding="utf-8")
    tale.say("  " + escape(rows.strip()).replace("\n", "\n  "))
    if len(rows.splitlines()) != 4:
        raise QualityGateError("the pipeline must leave 3 of the 5 rows, and a header")
    return user


def wait_until_found(user: Workplace, expected: int) -> None:
    """Wait until the search has every component; it follows the database by about two seconds.

    Raises:
        StepFailedError: It does not.
    """
    deadline = time.monotonic() + _SEARCHABLE_S
    found = 0
    while time.monotonic() < deadline:
        found = int(
            json.loads(user.run("search", "--json", "--limit", "100", code=None).out or "{}").get("total", 0)
        )
        if found >= expected:
            return
        time.sleep(0.5)
    raise StepFailedError(f"the search finds {found} of {expected} listed components")


def tell_where(tale: Tale, server: RegistryProcess, seconds: float) -> None:
    """Say where to look."""
    base = f"{server.url}/c/{NAMESPACE}/deduplicate-processor"
    version = read_manifest(COMPONENTS / "processors" / "deduplicate" / MANIFEST_NAME).version
    places = {
        f"{server.url}/search": "everything that is listed, with filters",
        base: "one component: README, configuration, proof, trust",
        f"{base}/gates/{version}": "what its gates found, with their logs",
        f"{base}/reviews": "the review that was just written",
        f"{server.url}/simple/": "the index for pip and uv",
    }
    tale.say(f"\nAll of it took {seconds:.0f} s. Pages of this registry:")
    width = max(map(len, places))
    for place, meaning in places.items():
        tale.say(f"  {place:<{width}}  {meaning}")


def stay(tale: Tale, server: RegistryProcess, user: Workplace) -> None:
    """Keep the registry until Ctrl-C."""
    tale.say(f"\nadministrator: admin, password {server.admin_password}")
    tale.say(f"the scratch project: {user.project}\nCtrl-C stops the registry and deletes all of it.")
    try:
        while server.running:
            threading.Event().wait(1)
    except KeyboardInterrupt:
        return
    raise StepFailedError(f"the registry ended by itself: {server.printed[-1500:]}")


if __name__ == "__main__":
    sys.exit(main())
