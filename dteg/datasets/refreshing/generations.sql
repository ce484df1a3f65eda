-- Statements about the relations of generations; none has values from outside but names and numbers that are bound.

-- name: columns
-- Columns of a relation with what a cast must say to give the same type.
SELECT
    a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
    CASE WHEN a.attcollation <> t.typcollation THEN quote_ident(cn.nspname) || '.' || quote_ident(co.collname) END,
    t.typname IN ('date', 'timestamp', 'timestamptz') AS is_time
FROM pg_attribute AS a
INNER JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_collation AS co ON co.oid = a.attcollation
LEFT JOIN pg_namespace AS cn ON cn.oid = co.collnamespace
WHERE a.attrelid = to_regclass(%(relation)s) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum

-- name: bytes
SELECT pg_total_relation_size(to_regclass(%(relation)s))

-- name: exists
SELECT to_regclass(%(relation)s) IS NOT NULL

-- name: readers
-- Sessions that keep a relation from being changed.
SELECT l.pid, coalesce(nullif(a.application_name, ''), a.usename, 'unknown'), coalesce(a.state, ''),
    extract(epoch FROM clock_timestamp() - a.xact_start)
FROM pg_locks AS l LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.relation = to_regclass(%(relation)s) AND l.granted AND l.pid <> pg_backend_pid()
ORDER BY 4 DESC NULLS LAST LIMIT 3

-- name: dependents
-- Relations that read a relation, directly or through others, those that read others last.
WITH RECURSIVE readers AS (
    SELECT to_regclass(%(relation)s)::oid AS oid, 0 AS depth
    UNION
    SELECT w.ev_class, r.depth + 1
    FROM readers AS r
    INNER JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = r.oid
        AND d.classid = 'pg_rewrite'::regclass
    INNER JOIN pg_rewrite AS w ON w.oid = d.objid AND w.ev_class <> r.oid
    WHERE r.depth < 100
)
SELECT r.oid::bigint, format('%%I.%%I', n.nspname, c.relname), c.relkind::text, pg_get_viewdef(c.oid),
    pg_get_userbyid(c.relowner)::text, coalesce(c.reloptions, '{}'), obj_description(c.oid, 'pg_class')
FROM (SELECT oid, max(depth) AS depth FROM readers WHERE depth > 0 GROUP BY oid) AS r
INNER JOIN pg_class AS c ON c.oid = r.oid INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY r.depth, 2

-- name: has_grants
-- Whether somebody changed the rights of a relation; without that it has those that new ones get.
SELECT relacl IS NOT NULL FROM pg_class WHERE oid = %(oid)s

-- name: grants
-- The statements that give the rights of a relation and of its columns to the relation of a name.
SELECT format('GRANT %%s ON %%s TO %%s%%s', e.privilege_type, %(name)s::text, CASE WHEN e.grantee = 0 THEN 'PUBLIC'
    ELSE quote_ident(pg_get_userbyid(e.grantee)) END, CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS e
WHERE c.oid = %(oid)s AND e.grantee <> c.relowner
UNION ALL
SELECT format('GRANT %%s (%%I) ON %%s TO %%s%%s', e.privilege_type, a.attname, %(name)s::text,
    CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END,
    CASE WHEN e.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class AS c
INNER JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
CROSS JOIN LATERAL aclexplode(a.attacl) AS e
WHERE c.oid = %(oid)s AND e.grantee <> c.relowner AND a.attname = ANY(%(columns)s)

-- name: grantees
-- Who has rights on a relation that are not its owner's.
SELECT DISTINCT CASE WHEN e.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END
FROM pg_class AS c CROSS JOIN LATERAL aclexplode(c.relacl) AS e
WHERE c.oid = to_regclass(%(relation)s) AND e.grantee <> c.relowner
