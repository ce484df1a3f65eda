-- name: tables
-- The warehouse's own tables and views that people may build on.
SELECT c.oid::int8, n.nspname, c.relname, CASE WHEN c.reltuples >= 0 AND c.relkind IN ('r', 'm') THEN c.reltuples::int8 END,
    coalesce(obj_description(c.oid, 'pg_class'), '')
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache', 'ds', 'dict')
ORDER BY n.nspname, c.relname

-- name: count
-- How many there are.
SELECT count(*)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache', 'ds', 'dict')

-- name: columns
-- Their columns.
SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    coalesce(col_description(a.attrelid, a.attnum), '')
FROM pg_attribute a
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
