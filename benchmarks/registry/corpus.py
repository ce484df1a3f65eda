"""Made components in the size of a full registry: known systems, combined with words, so that names are like real ones."""

import hashlib
import random
from datetime import UTC, datetime, timedelta
from typing import Any

from dteg.manifest import Manifest
from dteg.versions import sort_key
from registry.access import Role
from registry.components.models import Component, Downloads, Latest, Rating
from registry.identifiers import skeleton
from registry.namespaces.models import Member, Namespace
from registry.releases.models import Release, State

SEED = 4
_SYSTEMS = (
    "postgres mysql mariadb oracle sqlite snowflake bigquery redshift databricks mongodb cassandra dynamodb redis "
    "elasticsearch neo4j influxdb kafka pulsar rabbitmq kinesis sqs pubsub mqtt s3 gcs azure sftp hdfs dropbox sharepoint "
    "csv json parquet avro excel sheets iceberg delta stripe paypal shopify magento salesforce hubspot pipedrive netsuite "
    "workday zendesk intercom jira asana notion airtable github gitlab slack twilio mailchimp analytics mixpanel datadog "
    "sentry prometheus typeform zoom graphql soap ldap imap kubernetes cloudwatch weather openai"
)
_ASPECTS = (
    "orders users events invoices logs metrics audit history changes files tables reports usage billing tickets messages "
    "sessions contacts products payments refunds snapshots archive stream batch export"
)
SYSTEMS, ASPECTS = _SYSTEMS.split(), _ASPECTS.split()
VERBS = ("Reads", "Writes", "Copies", "Loads", "Follows", "Brings")
MANNERS = (
    "incrementally",
    "in parallel",
    "with retries",
    "exactly once",
    "by key",
    "in batches",
    "with checkpoints",
)
KINDS = ("extractor", "loader", "processor")
CATEGORIES = ("databases", "messaging", "storage", "files", "saas", "api", "cloud")
LICENCES = ("Apache-2.0", "MIT", "BSD-3-Clause", "MPL-2.0")
NOW = datetime(2026, 11, 1, tzinfo=UTC)


def words() -> list[str]:
    """Return what people may type."""
    return [*SYSTEMS, *ASPECTS]


class Corpus:
    """Components and their releases, the same for the same numbers.

    Args:
        components: How many.
        versions: How many releases in all.
    """

    def __init__(self, components: int, versions: int) -> None:
        self._random = random.Random(SEED)  # noqa: S311 - no secret
        self.manifests = [self._manifest(number) for number in range(components)]
        each, rest = divmod(versions, components)
        self._releases = [each + (number < rest) for number in range(components)]

    def component(self, number: int) -> Component:
        """Return one as it is after its last release was listed."""
        manifest, draw = self.manifests[number], random.Random(number)  # noqa: S311 - no secret
        newest = self._versions(number)[-1]
        count = int(draw.paretovariate(0.9)) - 1
        mean = round(draw.uniform(2.5, 5), 2)
        released = NOW - timedelta(days=draw.expovariate(1 / 200))
        return Component(
            id=f"{manifest.namespace}/{manifest.slug}", namespace=manifest.namespace, slug=manifest.slug,
            look=skeleton(manifest.slug), distribution=manifest.distribution, name=manifest.name, kind=manifest.kind,
            category=manifest.category, summary=manifest.description, tags=manifest.tags,
            pricing=manifest.pricing.model_dump(), latest=Latest(stable=newest), score=draw.randint(60, 100),
            rating=Rating(count=count, mean=mean if count else None, adjusted=mean if count else None),
            downloads=Downloads(total=50 * count, last_30_days=5 * count, installs=3 * count, kept_rate=draw.random()),
            verified=draw.random() < 0.2, licence=manifest.licence, capabilities=sorted(manifest.capabilities.names()),
            framework_versions=manifest.framework_versions, python_versions=manifest.python_versions,
            proven=["0.1.0|3.11", "0.1.0|3.12"][: draw.randint(0, 2)], tested=2, released_at=released,
            created_at=released, updated_at=released, rev=number + 1,
        )  # fmt: skip

    def releases(self, number: int, files: list[tuple[str, int, str]]) -> list[Release]:
        """Return the releases of one; those of the first components have the given files."""
        manifest = self.manifests[number]
        found: list[Release] = []
        for version in self._versions(number):
            whole = manifest.model_copy(update={"version": version})
            made = hashlib.sha256(f"{manifest.distribution}-{version}".encode()).hexdigest()
            sha256, size, metadata = files[number % len(files)]
            if number >= len(files) or found:  # these are never downloaded
                sha256, size = made, 40_000
            filename = f"{whole.distribution.replace('-', '_')}-{version}-py3-none-any.whl"
            release = Release(
                id=f"{whole.namespace}/{whole.slug}@{version}", component=f"{whole.namespace}/{whole.slug}",
                version=version, ver_key=sort_key(version), state=State.LISTED, settled=True,
                distribution=whole.distribution, filename=filename, sha256=sha256, size=size,
                metadata_sha256=metadata, manifest=whole.model_dump(mode="json"), config_schema="{}",
                published_at=NOW, published_by="bench", updated_at=NOW, key_id="0" * 16, score=90,
            )  # fmt: skip
            found.append(release)
        return found

    def namespaces(self, owner: str) -> list[Namespace]:
        """Return the namespaces of all, which belong to one account."""
        names = sorted({manifest.namespace for manifest in self.manifests})
        member = Member(user=owner, role=Role.OWNER)
        return [
            Namespace(id=name, look=skeleton(name), members=[member], created_at=NOW, created_by=owner)
            for name in names
        ]

    def _versions(self, number: int) -> list[str]:
        return [f"1.{minor}.0" for minor in range(self._releases[number])]

    def _manifest(self, number: int) -> Manifest:
        draw = self._random
        system, aspect, kind = draw.choice(SYSTEMS), draw.choice(ASPECTS), draw.choice(KINDS)
        text = f"{draw.choice(VERBS)} {aspect} of {system} {draw.choice(MANNERS)} and {draw.choice(MANNERS)}."
        given: dict[str, Any] = {
            "name": f"{system}_{aspect}_{number}", "namespace": f"team{number % 499}", "version": "1.0.0", "kind": kind,
            "author": "A team", "description": text, "category": draw.choice(CATEGORIES),
            "tags": [system, aspect], "licence": draw.choice(LICENCES), "entry_point": "main:Main",
            "capabilities": {"network": True, "filesystem": draw.random() < 0.3},
            "framework_versions": draw.choice([">=0.1,<1", ">=0.1", ">=0.2,<1"]),
            "python_versions": draw.choice([">=3.11", ">=3.12", ">=3.11,<3.14"]),
        }  # fmt: skip
        return Manifest.model_validate(given)
