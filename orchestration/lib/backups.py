"""An asset for each database that a cron job backs up, and a check that its newest backup can be restored."""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from pydantic import Field

from dteg.core.errors import DtegError, QualityGateError
from dteg.core.project import Project
from dteg.core.retry import RetryPolicy
from dteg.cron.actions import BackupAction
from orchestration.lib.failures import dagster_failures, tell

if TYPE_CHECKING:
    from dteg.backups.models import Backup

GROUP = "backups"
CHECK = "restore_verified"


class BackupOptions(dg.Config):
    """How one backup is made."""

    database: str = Field(
        "", description="Its name, or a secret reference to its URL; default: as the cron job says."
    )
    to: str = Field("", description="Where it goes; default: the project's own place.")
    encrypt: bool = Field(False, description="Whether it is encrypted.")
    retry: dict[str, Any] = Field({}, description="How transient failures are tried again.")


def backup_key(label: str) -> dg.AssetKey:
    """Return the key of a database's backups."""
    return dg.AssetKey([GROUP, label])


def backup_job(
    name: str, action: BackupAction, retry: RetryPolicy, tags: Mapping[str, str]
) -> UnresolvedAssetJobDefinition:
    """Return the job that backs up one database; its check runs apart, as it restores everything."""
    options = {
        "database": action.database,
        "to": action.to,
        "encrypt": action.encrypt,
        "retry": retry.model_dump(mode="json"),
    }
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(backup_key(action.label)).without_checks(),
        description=f"Backs up the database {action.label}.",
        config={"ops": {_op_name(action.label): {"config": options}}},
        executor_def=dg.in_process_executor,
        tags=dict(tags),
    )


def database_backups(databases: Mapping[str, str], project: Project) -> dg.Definitions:
    """Return the assets and checks of databases, which are given as label -> name or secret reference."""
    return dg.Definitions(
        assets=[_backup_asset(label, database, project) for label, database in databases.items()],
        asset_checks=[_restore_check(label, project) for label in databases],
    )


def _backup_asset(label: str, database: str, project: Project) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        backup_key(label),
        group_name=GROUP,
        kinds={"postgres"},
        description=f"Backups of the database {label}; each run adds one.",
        metadata={"database": label},
    )

    @dg.multi_asset(name=_op_name(label), specs=[spec])
    def backup(context: dg.AssetExecutionContext, config: BackupOptions) -> Iterator[Any]:
        from dteg.backups.models import NewBackup
        from dteg.backups.service import Backups

        policy = RetryPolicy.model_validate(config.retry)
        with dagster_failures(context, policy, tried_before=False):
            new = NewBackup.model_validate(
                {"database": config.database or database, "to": config.to, "encrypt": config.encrypt}
            )
            made = Backups.of(project).create(new)
        tell(context, f"backup {made.id}: {made.tables:,} tables, {made.bytes:,} bytes")
        yield dg.MaterializeResult(asset_key=spec.key, metadata=backup_metadata(made))

    return backup


def backup_metadata(backup: "Backup") -> dict[str, Any]:
    """Return what a backup tells of itself."""
    return {
        "backup_id": backup.id,
        "target": backup.target,
        "dagster/row_count": backup.rows,
        "tables": backup.tables,
        "bytes": backup.bytes,
        "encrypted": backup.encrypted,
        "snapshot_at": dg.MetadataValue.timestamp(backup.started_at),
        "seconds": round((backup.finished_at - backup.started_at).total_seconds(), 3),
    }


def _restore_check(label: str, project: Project) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=backup_key(label),
        name=CHECK,
        description="The newest backup, restored into a database of its own, equals what was backed up.",
    )
    def restore_verified(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        newest = _newest(context.instance, label, project)
        passed, message = verify(newest, project) if newest else (False, f"there is no backup of {label} yet")
        return dg.AssetCheckResult(passed=passed, description=message, metadata={"message": message})

    return restore_verified


def _newest(instance: dg.DagsterInstance, label: str, project: Project) -> "Backup | None":
    """Return the last backup that the asset has made, else the newest one of the database."""
    from dteg.backups.service import Backups

    event = instance.get_latest_materialization_event(backup_key(label))
    told = event.asset_materialization.metadata if event and event.asset_materialization else {}
    made = getattr(told.get("backup_id"), "value", None)
    by_id = {backup.id: backup for backup in Backups.of(project).all()}
    return by_id.get(str(made)) or newest_backups(project).get(label)


def newest_backups(project: Project) -> "dict[str, Backup]":
    """Return the newest backup of each database."""
    from dteg.backups.service import Backups

    found: dict[str, Backup] = {}
    for backup in Backups.of(project).all():  # the newest first
        found.setdefault(backup.database, backup)
    return found


def verify(backup: "Backup", project: Project) -> tuple[bool, str]:
    """Restore a backup and compare; return whether it is right, and a sentence."""
    from dteg.backups.service import Backups

    try:
        seen = Backups.of(project).verify(backup.id, restore=True)
    except DtegError as error:
        return False, f"{backup.id}: {error}"
    return (
        True,
        f"{backup.id}: {seen.tables:,} tables with {seen.rows:,} rows are equal ({seen.seconds:.1f} s)",
    )


def verify_backups(context: dg.OpExecutionContext, project: Project) -> str:
    """Verify the newest backup of each database, whatever made it.

    Returns:
        A sentence for people.

    Raises:
        QualityGateError: At least one cannot be restored; the others were verified all the same.
    """
    results = {label: verify(backup, project) for label, backup in newest_backups(project).items()}
    for label, (passed, message) in results.items():
        context.log.info(message)
        if context.instance.has_asset_key(backup_key(label)):  # not for what no cron job backs up
            context.instance.report_runless_asset_event(
                dg.AssetCheckEvaluation(
                    asset_key=backup_key(label), check_name=CHECK, passed=passed, description=message,
                    metadata={"message": message},
                )
            )  # fmt: skip
    if failed := [label for label, (passed, _) in results.items() if not passed]:
        messages = "; ".join(results[label][1] for label in failed)
        raise QualityGateError(
            f"{len(failed)} of {len(results)} backups cannot be restored: {messages}", failed=failed
        )
    return (
        f"{len(results)} backups restored and compared: {', '.join(results)}"
        if results
        else "there are no backups"
    )


def _op_name(label: str) -> str:
    # Dagster's names have no dashes; two databases that differ in nothing else get numbers from Dagster.
    return "backup__" + re.sub(r"\W", "_", label, flags=re.ASCII)
