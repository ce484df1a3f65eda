-- name: server
-- What the server is, and how it orders texts.
SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1),
    to_jsonb(d) || jsonb_build_object('encoding', pg_encoding_to_char(d.encoding))
FROM pg_database d WHERE d.datname = current_database()

-- name: tables
-- Tables and views that are not the server's own, nor partitions of another table.
SELECT c.oid::int8, n.nspname, c.relname, CASE WHEN c.reltuples >= 0 AND c.relkind IN ('r', 'm') THEN c.reltuples::int8 END,
    coalesce(obj_description(c.oid, 'pg_class'), ''),
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'),
    CASE WHEN c.reltuples >= 100 THEN ((c.relpages + coalesce(t.relpages, 0)) * 8192 / c.reltuples)::int8 END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache')
ORDER BY n.nspname, c.relname

-- name: columns
-- Columns of some tables, each with the type below its domains and whether that one is built in.
WITH RECURSIVE based AS (
    SELECT a.attrelid, a.attnum, a.attname, a.atttypid AS type, a.atttypmod AS modifier, a.atttypid AS shown,
        a.atttypmod AS shown_modifier, a.attnotnull, a.attcollation
    FROM pg_attribute a
    WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
    UNION ALL
    SELECT b.attrelid, b.attnum, b.attname, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.modifier END,
        b.shown, b.shown_modifier, b.attnotnull OR t.typnotnull, b.attcollation
    FROM based b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT b.attrelid::int8, b.attname, format_type(b.type, b.modifier), format_type(b.shown, b.shown_modifier),
    t.oid < 16384 AND t.typname !~ '^reg' AND t.typtype IN ('b', 'r', 'm'), t.typtype = 'e', b.attnotnull,
    coalesce(col_description(b.attrelid, b.attnum), ''),
    coalesce(NOT (to_jsonb(l) ->> 'collisdeterministic')::boolean, false)
FROM based b JOIN pg_type t ON t.oid = b.type LEFT JOIN pg_collation l ON l.oid = b.attcollation
WHERE t.typtype <> 'd'
ORDER BY b.attrelid, b.attnum

-- name: keys
-- Keys over plain columns; the primary key first.
SELECT i.indrelid::int8, i.indisprimary,
    (SELECT array_agg(a.attname ORDER BY k.position) FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, position)
     JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number WHERE k.position <= i.indnkeyatts)
FROM pg_index i
WHERE i.indrelid = ANY(%(oids)s::oid[]) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
ORDER BY i.indrelid, i.indisprimary DESC, i.indexrelid

-- name: foreign_keys
-- References between tables.
SELECT c.conrelid::int8, n.nspname, f.relname,
    (SELECT array_agg(a.attname ORDER BY k.position) FROM unnest(c.conkey) WITH ORDINALITY k (number, position)
     JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number),
    (SELECT array_agg(a.attname ORDER BY k.position) FROM unnest(c.confkey) WITH ORDINALITY k (number, position)
     JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number)
FROM pg_constraint c JOIN pg_class f ON f.oid = c.confrelid JOIN pg_namespace n ON n.oid = f.relnamespace
WHERE c.contype = 'f' AND c.conrelid = ANY(%(oids)s::oid[])
ORDER BY c.conrelid, c.conname
