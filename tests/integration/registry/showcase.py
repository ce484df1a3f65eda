"""A registry that looks used: the connectors that come with dteg, a publisher beside them, and people who talk.

For tests of the pages and for pictures: everything goes through the services, as it would in life.
"""

import shutil
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from dteg.core.clock import utc_now
from dteg.gates.report import Finding, GateReport, GateResult, score
from dteg.manifest import REQUIRED_GATES
from dteg.packages import build_wheel, inspect_wheel
from dteg.receipts import receipt
from dteg.signing import SigningKey
from registry.discussions.models import NewReply, NewThread
from registry.downloads.models import ReceiptBody
from registry.licences.bills import NewCreditNote
from registry.licences.models import NewLicence, NewUsage
from registry.licences.money import period_of
from registry.releases.models import Release
from registry.reports.models import NewReport
from registry.reviews.models import NewReview
from registry.testing import RunningRegistry
from registry.webhooks.models import NewWebhook
from registry.webhooks.sender import Outcome
from tests.factories import make_component
from tests.integration.registry.publishing import KnownProver, Publisher, run_gates

ROOT = Path(__file__).parents[3]
KAFKA = "streaming/kafka-extractor"
NEWEST = "1.2.0"
LEDGER = "streaming/ledger-loader"  # paid for by use
BUYER = "initech"
CHAT = "https://chat.example.org/hooks/T0/releases"
BUILDS = "https://builds.example.net/dteg"
FIRST_PARTY = (
    "extractors/postgres", "extractors/rest", "extractors/files", "extractors/mysql", "loaders/postgres",
    "loaders/files", "loaders/rest", "processors/deduplicate", "processors/filter", "processors/cast",
)  # fmt: skip
REVIEWS = (
    ("lena", 5, "Runs every ten minutes since spring. **Offsets survived two crashes** of the machine."),
    ("tom", 4, "Does what it says. I wish it read the schema registry too; for now I cast in a processor."),
    ("ines", 5, ""),
    ("raj", 2, "Version 1.0 stopped on tombstones. `1.1` fixed it, but it cost us a night."),
)
README = """# kafka extractor

## Overview

Reads topics of Apache Kafka up to the offsets seen at the start, and goes on from there next time. See
[Troubleshooting](#troubleshooting) when it is silent.

## Configuration

| Key | Default | Meaning |
|---|---|---|
| `count` | 3 | How many records to read at most. |

## Examples

```yaml
extract:
  type: dteg://streaming/kafka-extractor
  config: {count: 10}
```

## Troubleshooting

- **No messages**: the group has read them already. Reset it.
- **Time-outs**: raise `idle_timeout_s`.
"""
CHANGELOG = {
    "1.0.0": "# Changes\n\n- The first release.\n",
    "1.1.0": "# Changes\n\n## 1.1.0\n\n- Tombstones are skipped.\n",
    NEWEST: "# Changes\n\n## 1.2.0\n\n- Reads several topics in one run.\n- A third less memory.\n",
}


class ShownProver(KnownProver):
    """Gates whose answers are given, with metrics and findings to show."""

    def prove(self, wheel: Path, gates: Sequence[str], listener: Callable[[GateResult], None]) -> GateReport:
        contents = inspect_wheel(wheel)
        name = f"{contents.manifest.namespace}/{contents.manifest.slug}"
        self.proved.append(f"{name}@{contents.manifest.version}")
        results = [self._result(gate, len(name)) for gate in gates]
        for result in results:
            listener(result)
        return GateReport(
            component=name, version=contents.manifest.version, sha256=contents.sha256, ruleset=self.ruleset,
            environment={"sandbox": "none: answers are given", "python": self.python, "dteg": self.dteg},
            results=results, score=score(results),
            passed=all(each.status == "passed" for each in results) and tuple(gates) == REQUIRED_GATES,
        )  # fmt: skip

    def _result(self, gate: str, number: int) -> GateResult:
        status = self.statuses.get(gate, "passed")
        metrics: dict[str, float] = {
            "conformance": {"tests": 31.0, "coverage_percent": 80.0 + number % 20},
            "performance": {"rows_per_s": 412_300.0, "ratio": 1.0 - number % 7 / 20, "peak_memory_mb": 96.0},
        }.get(gate, {})
        findings = []
        if gate == "security" and number % 3 == 0:
            findings = [
                Finding(
                    rule="B113", severity="low", message="A request without a time limit.", file="client.py", line=41,
                    remedy="Give timeout=.",
                )
            ]  # fmt: skip
        if status == "failed":
            findings = [
                Finding(
                    rule="net-undeclared", severity="high", message="Opens a connection that it does not declare.",
                    file="kafka.py", line=88, remedy="Write capabilities: {network: true} in dteg.yaml.",
                )
            ]  # fmt: skip
        summary = {"security": "no rule is broken", "conformance": "31 tests passed"}.get(gate, "all is well")
        return GateResult(
            gate=gate, status=status, summary=summary if status == "passed" else "1 finding to repair",
            findings=findings, metrics=metrics, duration_s=0.4 + number % 9, log=f"$ {gate}\ncollected 31 items\nok\n",
        )  # fmt: skip


class KnownReceivers:
    """Servers that webhooks call: the chat takes everything, the build server is down."""

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> Outcome:
        """Answer without a connection."""
        return Outcome(204, 38) if url == CHAT else Outcome(503, 121, "the receiver answered 503")


class Showcase:
    """The people and components in it.

    Args:
        registry: An empty one.
        folder: For the files of components.
        small: Only what tests of the pages need.
        prover: What runs the gates.
    """

    def __init__(
        self, registry: RunningRegistry, folder: Path, *, small: bool = False, prover: KnownProver | None = None
    ) -> None:  # fmt: skip
        self.registry, self.folder, self.services = registry, folder, registry.services
        self.prover: Any = prover or ShownProver()
        self.end = utc_now()
        registry.clock.stop_at(self.end - timedelta(days=60))
        registry.make_account("mara", admin=True)
        self.ann = Publisher(registry, folder / "ann")
        self.dteg = Publisher(registry, folder / "dteg", namespace="dteg", login="dteg-team")
        registry.run(self.services.namespaces.set_verified(registry.who("mara"), "dteg", True))
        services: Any = self.services
        services.webhooks.sender = KnownReceivers()
        self._publish_all(FIRST_PARTY[:3] if small else FIRST_PARTY)
        self._sell()
        self._use()
        self._listen()
        self._talk()
        self._bill()
        registry.run(self.services.search.refresh())

    def release(self, name: str) -> Release:
        """Return a release by `namespace/slug@version`."""
        return self.registry.run(self.services.releases.by_id(name))

    def publish(self, publisher: Publisher, wheel: Path, prover: Any = None) -> None:
        """Publish a wheel and run its gates."""
        who = self.registry.who(publisher.login)
        self.registry.run(self.services.releases.publish(who, wheel, publisher.envelope(wheel)))
        self.registry.clock.advance(seconds=30)
        run_gates(self.registry, prover or self.prover)

    def kafka(self, version: str, **manifest: Any) -> Path:
        """Return the wheel of a version of the kafka extractor."""
        given = {
            "description": "Reads Kafka topics up to the offsets seen at start, and goes on from there.",
            "category": "messaging", "tags": ["kafka", "streaming", "events"], "author": "Streaming Works",
            "homepage": "https://example.org/kafka", "capabilities": {"network": True}, **manifest,
        }  # fmt: skip
        folder = make_component(self.folder / "kafka", name="kafka", version=version, **given)
        (folder / "README.md").write_text(README)
        (folder / "CHANGELOG.md").write_text(CHANGELOG.get(version, "# Changes\n"))
        return build_wheel(folder, namespace="streaming", out=self.folder / "kafka")

    def _publish_all(self, first_party: Sequence[str]) -> None:
        for number, path in enumerate(first_party):
            folder = self.folder / path
            shutil.copytree(ROOT / "components" / path, folder, ignore=shutil.ignore_patterns("__pycache__"))
            manifest = yaml.safe_load((folder / "dteg.yaml").read_text())
            manifest["version"] = f"1.{number % 4}.0"
            (folder / "dteg.yaml").write_text(yaml.safe_dump(manifest))
            self.publish(self.dteg, build_wheel(folder, namespace="dteg", out=self.folder))
            self.registry.clock.advance(days=1)
        for version in ("1.0.0", "1.1.0"):
            self.publish(self.ann, self.kafka(version))
            self.registry.clock.advance(days=9)
        ann, mara = self.registry.who("ann"), self.registry.who("mara")
        releases = self.services.releases
        self.registry.run(releases.yank(ann, f"{KAFKA}@1.0.0", "Stops on tombstones: take 1.1.0 or newer."))
        self.publish(self.ann, self.kafka("1.1.1"), ShownProver({"security": "failed"}))
        self.publish(self.ann, self.kafka(NEWEST))
        other = make_component(
            self.folder / "old", name="pulsar", description="Reads Pulsar topics.", category="messaging"
        )
        self.publish(self.ann, build_wheel(other, namespace="streaming", out=self.folder / "old"))
        self.registry.run(
            releases.quarantine(mara, "streaming/pulsar-extractor@1.0.0", "Under review: see the report.")
        )

    def _sell(self) -> None:
        """List a component that costs something, and let an organisation use it."""
        pricing = {"model": "usage", "amount_minor": 250, "currency": "EUR", "per": "million_rows"}
        folder = make_component(
            self.folder / "ledger", name="ledger", kind="loader", description="Books rows into a general ledger.",
            category="finance", pricing=pricing,
        )  # fmt: skip
        self.publish(self.ann, build_wheel(folder, namespace="streaming", out=self.folder / "ledger"))
        for login in ("bill", "sam"):
            self.registry.make_account(login)
        self.registry.make_namespace(BUYER, "bill", sam="reader")
        until = self.end + timedelta(days=300)
        new = NewLicence(organisation=BUYER, seats=3, until=until)
        ann = self.registry.who("ann")
        self.licence = self.registry.run(self.services.licences.give(ann, LEDGER, new)).key
        self.registry.run(self.services.licences.entitle(self.registry.who("sam"), self.licence, 24))
        self.billed = period_of(self.registry.clock())
        self._move_rows("first", 48_219_404)

    def _move_rows(self, key: str, rows: int) -> None:
        new = NewUsage(licence=self.licence, key=key, rows=rows, at=self.registry.clock())
        self.registry.run(self.services.licences.use(self.registry.who("sam"), new))

    def _bill(self) -> None:
        ann, invoicing = self.registry.who("ann"), self.services.licences.invoicing
        (invoice,) = self.registry.run(invoicing.close(ann, "streaming", self.billed))
        note = NewCreditNote(amount_minor=1_000, reason="An hour of double counting on the 3rd.")
        self.registry.run(invoicing.credit(ann, invoice.key, note))
        self.invoice = invoice.key
        self._move_rows("second", 7_300_512)

    def _listen(self) -> None:
        """Have two servers told; what happens from now on reaches them."""
        webhooks, ann = self.services.webhooks, self.registry.who("ann")
        run = self.registry.run
        self.webhook = run(webhooks.create(ann, "streaming", NewWebhook(url=CHAT)))[0].id
        new = NewWebhook(url=BUILDS, events=["release.listed", "release.yanked"])
        self.failing_webhook = run(webhooks.create(ann, "streaming", new))[0].id
        for webhook in (self.webhook, self.failing_webhook):
            run(webhooks.test(ann, "streaming", webhook))

    def _use(self) -> None:
        """Count downloads over some weeks, and let people install."""
        downloads = self.services.downloads
        listed = [
            each.id for each in self.registry.run(self.services.components.changed_since(0)) if each.listed
        ]
        while self.registry.clock() < self.end - timedelta(days=1):
            day = int(self.registry.clock().timestamp() // 86_400)
            for place, component in enumerate(listed):
                for _ in range((day * 7 + place * 11) % 23 + (30 if component == KAFKA else 0)):
                    downloads.count(component, NEWEST, "uv")
            self.registry.run(downloads.flush())
            self.registry.clock.advance(days=1)
        self.registry.clock.stop_at(self.end - timedelta(days=9))
        release = self.release(f"{KAFKA}@{NEWEST}")
        for login, _, _ in REVIEWS:
            self.registry.make_account(login)
            self.install(login, release, ok_runs=len(login) * 40)
        self.registry.clock.stop_at(self.end)
        self.registry.run(downloads.refresh())

    def install(self, login: str, release: Release, ok_runs: int = 3) -> None:
        """Send the receipt of an installation."""
        body = receipt(
            SigningKey.generate(), component=release.component, version=release.version, sha256=release.sha256,
            at=self.registry.clock(), environment={"python": "3.11"}, ok_runs=ok_runs,
        )  # fmt: skip
        who = self.registry.who(login)
        self.registry.run(self.services.downloads.receive(who, ReceiptBody(**body), "127.0.0.1"))

    def _talk(self) -> None:
        run, who = self.registry.run, self.registry.who
        for login, stars, text in REVIEWS:
            run(self.services.reviews.write(who(login), KAFKA, NewReview(stars=stars, text=text)))
        raj = run(self.services.reviews.of(who("raj"), KAFKA))
        run(self.services.reviews.vote(who("lena"), raj.key, True))
        run(
            self.services.reviews.reply(
                who("ann"), raj.key, "Sorry about that night. There is a test for it now."
            )
        )
        for title, text in (
            ("Avro", "Is there a plan for Avro?"),
            ("Exactly once?", "How do you get *exactly once* into PostgreSQL? Is `write: merge` enough?"),
        ):
            thread = run(
                self.services.discussions.begin(who("tom"), KAFKA, NewThread(title=title, text=text))
            )
        reply = "Yes: give a `primary_key`, and each message lands once."
        run(self.services.discussions.reply(who("ann"), thread.id, NewReply(text=reply)))
        self.thread = thread.id
        for target, reason, text in (
            (
                f"release:{KAFKA}@{NEWEST}",
                "malware",
                "It opens a connection to a host that is not in the configuration.",
            ),
            (f"review:{raj.key}", "abuse", "Not about the component."),
        ):
            new = NewReport(target=target, reason=reason, text=text)
            run(self.services.reports.create(who("ines"), new))
