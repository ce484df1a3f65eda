-- The `_dteg` schema: what was loaded, and up to where. It lies beside the data, so that it commits with it.

-- name: is_ready
SELECT to_regclass('_dteg.loads') IS NOT NULL;

-- name: lock_schema
SELECT pg_advisory_xact_lock(hashtextextended('_dteg', 0));

-- name: has_schema
SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = %(schema)s);

-- name: create_schema
CREATE SCHEMA IF NOT EXISTS _dteg;
CREATE TABLE IF NOT EXISTS _dteg.loads (
    load_id text PRIMARY KEY,
    pipeline text NOT NULL,
    stream text NOT NULL,
    target text NOT NULL,
    disposition text NOT NULL,
    rows_read bigint NOT NULL,
    rows_written bigint NOT NULL,
    rows_rejected bigint NOT NULL,
    bytes_read bigint NOT NULL,
    total_rows bigint,
    committed_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS loads_target ON _dteg.loads (target, committed_at);
CREATE TABLE IF NOT EXISTS _dteg.checkpoints (
    pipeline text NOT NULL,
    stream text NOT NULL,
    target text NOT NULL,
    checkpoint jsonb NOT NULL,
    load_id text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (pipeline, stream, target)
);

-- name: lock_target
SELECT pg_try_advisory_lock(hashtextextended('dteg load ' || %(target)s, 0));

-- name: find_load
SELECT rows_read, rows_written, rows_rejected, bytes_read, total_rows FROM _dteg.loads WHERE load_id = %(load_id)s;

-- name: find_checkpoint
SELECT checkpoint FROM _dteg.checkpoints
WHERE pipeline = %(pipeline)s AND stream = %(stream)s AND target = %(target)s;

-- name: save_load
INSERT INTO _dteg.loads
    (load_id, pipeline, stream, target, disposition, rows_read, rows_written, rows_rejected, bytes_read, total_rows)
VALUES
    (%(load_id)s, %(pipeline)s, %(stream)s, %(target)s, %(disposition)s, %(rows_read)s, %(rows_written)s,
     %(rows_rejected)s, %(bytes_read)s, %(total_rows)s);

-- name: save_checkpoint
INSERT INTO _dteg.checkpoints (pipeline, stream, target, checkpoint, load_id)
VALUES (%(pipeline)s, %(stream)s, %(target)s, %(checkpoint)s, %(load_id)s)
ON CONFLICT (pipeline, stream, target)
DO UPDATE SET checkpoint = EXCLUDED.checkpoint, load_id = EXCLUDED.load_id, updated_at = now();

-- name: columns
SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attgenerated <> '' OR a.attidentity = 'a', a.attnotnull
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass(%(table)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: unique_keys
SELECT array_agg(a.attname::text ORDER BY a.attname)
FROM pg_index AS i
CROSS JOIN unnest(i.indkey::int2[]) AS k (attnum)
INNER JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = to_regclass(%(table)s) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND i.indexprs IS NULL
GROUP BY i.indexrelid;
