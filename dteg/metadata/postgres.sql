-- name: tables
-- Tables and views that are not the server's own nor dteg's, with what tells whether their rows have changed.
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text, c.reltuples::float8,
    coalesce(obj_description(c.oid, 'pg_class'), ''), pg_get_userbyid(c.relowner),
    coalesce(CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) END, ''),
    (SELECT coalesce(sum(s.n_tup_ins + s.n_tup_upd + s.n_tup_del), 0)::int8 FROM pg_stat_all_tables s
     WHERE s.relid = c.oid OR (c.relkind = 'p' AND s.relid IN (SELECT p.relid FROM pg_partition_tree(c.oid) p))),
    pg_relation_filenode(c.oid)::int8
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache')
  AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT')
ORDER BY n.nspname, c.relname

-- name: columns
-- Their columns in order.
SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    coalesce(col_description(a.attrelid, a.attnum), ''), t.typcategory::text, a.attndims > 0 OR t.typcategory = 'A'
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = ANY(%(oids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum

-- name: statistics
-- What ANALYZE found, of one table.
SELECT s.attname, s.null_frac::float8, s.n_distinct::float8,
    (s.histogram_bounds::text::text[])[1], (s.histogram_bounds::text::text[])[array_length(s.histogram_bounds::text::text[], 1)],
    s.most_common_vals::text::text[], s.most_common_freqs::float8[]
FROM pg_stats s
WHERE s.schemaname = %(schema)s AND s.tablename = %(name)s AND NOT s.inherited

-- name: query_log
-- The statements that ran most often.
SELECT s.query, s.calls::int8
FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid
WHERE d.datname = current_database() AND (s.query ~* '^\s*(select|with)\y' OR s.query = '<insufficient privilege>')
ORDER BY s.calls DESC LIMIT 500
