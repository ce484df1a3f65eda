"""How good a cache is, and what should be done about it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from dteg.metadata.models import CacheManifest, Example, Quality, TableEntry
from dteg.metadata.reports import Alert

LEAST_VALID_PCT = 95.0
MOST_DROP = 5.0
# A daily collection is some hours late then, and there is time left to do something.
SOON = timedelta(hours=4)


def measured(
    entries: Sequence[TableEntry], examples: Sequence[Example], generated_at: datetime, now: datetime
) -> Quality:
    """Measure a cache.

    Args:
        entries: All tables.
        examples: All examples, those that are not valid too.
        generated_at: When the cache was made.
        now: The time.
    """
    columns = {f"{each.table_id}.{column.name}" for each in entries for column in each.columns}
    described = sum(1 for each in entries for column in each.columns if column.description)
    valid = [each for each in examples if each.status == "valid"]
    used = {name for each in valid for name in each.columns} & columns
    joined = {each.table_id for each in entries if each.foreign_keys}
    joined |= {key.ref_table for each in entries for key in each.foreign_keys}
    joined &= {each.table_id for each in entries}
    shares = {
        "columns_described_pct": _percent(described, len(columns)),
        "examples_valid_pct": _percent(len(valid), len(examples), 100.0),
        "column_coverage_pct": _percent(len(used), len(columns)),
        "join_coverage_pct": _percent(len(joined), len(entries)) if len(entries) > 1 else 100.0,
    }
    return Quality(
        **shares,
        score=round(sum(shares.values()) / len(shares), 2),
        freshness_h=round(max(0.0, (now - generated_at).total_seconds() / 3600), 2),
    )


def alerts(
    manifest: CacheManifest, quality: Quality, now: datetime, score_before: float | None
) -> list[Alert]:
    """Return what somebody should look at.

    Args:
        manifest: The current one.
        quality: As measured now.
        now: The time.
        score_before: Of the version before; None if there is none.
    """
    old = expiry(manifest, now)
    found = [old] if old else []
    if quality.examples_valid_pct < LEAST_VALID_PCT:
        bad = len(manifest.rejected)
        found.append(
            Alert(
                name="examples_invalid",
                message=f"{bad} examples do not pass ({quality.examples_valid_pct:.1f} % do); see: dteg metadata show --quality",
            )
        )
    if score_before is not None and quality.score < score_before - MOST_DROP:
        found.append(
            Alert(
                name="score_dropped", message=f"the score fell from {score_before:.1f} to {quality.score:.1f}"
            )
        )
    return found


def expiry(manifest: CacheManifest, now: datetime) -> Alert | None:
    """Return what is to be said of the age of a cache; None if there is time left for the next collection."""
    if manifest.expires_at is None or now <= manifest.expires_at - SOON:
        return None
    run = f"collected {(now - manifest.generated_at).total_seconds() / 3600:.0f} hours ago; run: dteg metadata collect {manifest.source.name}"
    if now > manifest.expires_at:
        return Alert(name="expired", message=f"it has expired, {run}")
    return Alert(
        name="expires_soon", message=f"it expires at {manifest.expires_at:%Y-%m-%d %H:%M} UTC, {run}"
    )


def _percent(part: int, whole: int, of_nothing: float = 0.0) -> float:
    return round(100 * part / whole, 2) if whole else of_nothing
