-- What the database's own catalogue says about tables.

-- name: list
SELECT
    n.nspname, c.relname, c.relkind::text,
    CASE
        WHEN NOT %(measured)s THEN c.relpages::bigint * current_setting('block_size')::bigint
        WHEN c.relkind = 'p'
            THEN coalesce((SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree(c.oid) AS t), 0)::bigint
        ELSE coalesce(pg_total_relation_size(c.oid), 0)
    END,
    CASE
        WHEN %(measured)s THEN coalesce(pg_relation_size(c.oid), 0)
        ELSE c.relpages::bigint * current_setting('block_size')::bigint
    END,
    (SELECT count(*) FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    c.reltuples::bigint,
    coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND NOT c.relispartition
    AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    AND (CASE WHEN %(schema)s::text = '' THEN n.nspname NOT IN ('_dteg', 'ds_cache') ELSE n.nspname = %(schema)s END)
    AND (n.nspname COLLATE "C", c.relname COLLATE "C") > (%(after_schema)s::text, %(after_name)s::text)
ORDER BY n.nspname COLLATE "C", c.relname COLLATE "C"
LIMIT %(limit)s;

-- name: schemas
SELECT nspname FROM pg_namespace
WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
ORDER BY 1;

-- name: relation
-- Without sizes: to measure them waits for whoever has locked the table.
SELECT
    c.oid, c.relkind::text, c.relpages::bigint * current_setting('block_size')::bigint, c.reltuples::bigint,
    coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND c.relkind IN ('r', 'p', 'v', 'm', 'f');

-- name: sizes
SELECT
    coalesce(pg_relation_size(c.oid), 0),
    CASE
        WHEN c.relkind = 'p'
            THEN coalesce((SELECT sum(pg_total_relation_size(t.relid)) FROM pg_partition_tree(c.oid) AS t), 0)::bigint
        ELSE coalesce(pg_total_relation_size(c.oid), 0)
    END
FROM pg_class AS c
WHERE c.oid = %(oid)s;

-- name: columns
SELECT
    a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
    coalesce(a.attnum = ANY (i.indkey::int2[]), false),
    coalesce(col_description(a.attrelid, a.attnum), ''),
    t.typcategory::text, coalesce(b.typname, t.typname)
FROM pg_attribute AS a
INNER JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_type AS b ON b.oid = nullif(t.typbasetype, 0)
LEFT JOIN pg_index AS i ON i.indrelid = a.attrelid AND i.indisprimary
WHERE a.attrelid = %(oid)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum;

-- name: names
SELECT n.nspname || '.' || c.relname
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';

-- name: uses
-- Views and rules over the table, foreign keys that point to it, functions whose body PostgreSQL has parsed,
-- tables that inherit from it, and columns of its row type.
WITH parts AS (
    SELECT %(oid)s::oid AS oid
    UNION
    SELECT t.relid FROM pg_partition_tree(%(oid)s) AS t
)
SELECT
    CASE v.relkind WHEN 'm' THEN 'materialized view' WHEN 'v' THEN 'view' ELSE 'rule' END,
    v.oid::regclass::text, 'reads the table'
FROM pg_depend AS d
INNER JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
INNER JOIN pg_class AS v ON v.oid = r.ev_class
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM parts)
    AND v.oid NOT IN (SELECT oid FROM parts)
UNION
SELECT 'foreign key', k.conrelid::regclass::text || ' (' || k.conname || ')', 'points to the table'
FROM pg_constraint AS k
WHERE k.contype = 'f' AND k.confrelid IN (SELECT oid FROM parts) AND k.conrelid NOT IN (SELECT oid FROM parts)
UNION
SELECT 'function', d.objid::regprocedure::text, 'names the table'
FROM pg_depend AS d
WHERE d.classid = 'pg_proc'::regclass AND d.deptype = 'n'
    AND (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM parts)
        OR d.refclassid = 'pg_type'::regclass
        AND d.refobjid IN (SELECT reltype FROM pg_class WHERE oid IN (SELECT oid FROM parts)))
UNION
SELECT 'table', h.inhrelid::regclass::text, 'inherits from the table'
FROM pg_inherits AS h
WHERE h.inhparent IN (SELECT oid FROM parts) AND h.inhrelid NOT IN (SELECT oid FROM parts)
UNION
SELECT 'column', a.attrelid::regclass::text || '.' || a.attname, 'holds rows of the table'
FROM pg_attribute AS a
INNER JOIN pg_class AS c ON c.reltype = a.atttypid AND c.oid IN (SELECT oid FROM parts)
WHERE NOT a.attisdropped AND a.attrelid NOT IN (SELECT oid FROM parts)
UNION
SELECT 'publication', p.pubname::text, 'replicates the table'
FROM pg_publication_rel AS r
INNER JOIN pg_publication AS p ON p.oid = r.prpubid
WHERE r.prrelid IN (SELECT oid FROM parts)
ORDER BY 1, 2;

-- name: forget
-- Positions of loads into a table that is gone: a later load must not go on from there.
DELETE FROM _dteg.checkpoints WHERE target = %(table)s;

-- name: has_checkpoints
SELECT to_regclass('_dteg.checkpoints') IS NOT NULL;
