-- The catalogue of backups. It can be made again from the targets: each backup carries its signed manifest.

-- name: v1
CREATE TABLE _dteg.backups (
    id text PRIMARY KEY,
    database text NOT NULL,
    target text NOT NULL,
    started_at timestamptz NOT NULL,
    verified_at timestamptz,
    restore_verified_at timestamptz,
    backup jsonb NOT NULL
);
CREATE INDEX backups_started ON _dteg.backups (started_at DESC, id);
CREATE TABLE _dteg.backup_jobs (
    id text PRIMARY KEY,
    started_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    job jsonb NOT NULL
);
CREATE INDEX backup_jobs_started ON _dteg.backup_jobs (started_at DESC);
