-- What a database looks like: an image of each object, the same whether a trigger or the snapshot makes it.
-- Run with search_path = pg_catalog, so that every name of a type is written in full. `{only}` is a condition on `oid`.

-- name: images
SELECT
    'pg_class'::regclass::oid AS class, o.oid AS object,
    CASE o.relkind
        WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'f' THEN 'foreign table'
        WHEN 'S' THEN 'sequence' ELSE 'table'
    END AS kind,
    n.nspname::text AS schema, o.relname::text AS name,
    CASE WHEN o.relkind = 'S' THEN jsonb_build_object('owner', o.relowner::bigint)
    ELSE jsonb_build_object(
        'owner', o.relowner::bigint,
        'columns', coalesce((
            SELECT jsonb_agg(jsonb_build_object(
                'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                'not_null', a.attnotnull, 'default', a.atthasdef) ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = o.oid AND a.attnum > 0 AND NOT a.attisdropped), '[]'),
        'constraints', coalesce((
            SELECT jsonb_object_agg(k.conname, pg_get_constraintdef(k.oid))
            FROM pg_constraint AS k WHERE k.conrelid = o.oid AND k.contype IN ('c', 'f', 'p', 'u', 'x')), '{}'),
        'indexes', coalesce((
            SELECT jsonb_object_agg(i.relname, pg_get_indexdef(x.indexrelid))
            FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid WHERE x.indrelid = o.oid), '{}'),
        'triggers', coalesce((
            SELECT jsonb_agg(t.tgname ORDER BY t.tgname)
            FROM pg_trigger AS t
            WHERE t.tgrelid = o.oid AND NOT t.tgisinternal AND t.tgname <> 'dteg_truncate'), '[]'),
        -- Not pg_get_viewdef: that text changes when a column below the view is renamed, although the view does not.
        'definition', (
            SELECT md5(r.ev_action::text) FROM pg_rewrite AS r WHERE r.ev_class = o.oid AND r.rulename = '_RETURN'))
    END AS image
FROM pg_class AS o
JOIN pg_namespace AS n ON n.oid = o.relnamespace
WHERE {only} AND o.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND o.relpersistence <> 't'
    AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('_dteg', 'ds_cache', 'information_schema')
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_class'::regclass AND d.objid = o.oid AND d.objsubid = 0
            AND (d.deptype = 'e' OR (o.relkind = 'S' AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0)))
UNION ALL
SELECT
    'pg_proc'::regclass::oid, o.oid,
    CASE o.prokind WHEN 'p' THEN 'procedure' WHEN 'a' THEN 'aggregate' ELSE 'function' END,
    n.nspname::text, o.proname || '(' || oidvectortypes(o.proargtypes) || ')',
    jsonb_build_object(
        'owner', o.proowner::bigint, 'returns', format_type(o.prorettype, NULL), 'security_definer', o.prosecdef,
        'definition', md5(concat_ws('|', o.prosrc, o.probin, o.prolang, o.provolatile, o.proconfig::text)))
FROM pg_proc AS o
JOIN pg_namespace AS n ON n.oid = o.pronamespace
WHERE {only} AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('_dteg', 'ds_cache', 'information_schema')
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_proc'::regclass AND d.objid = o.oid AND d.deptype = 'e')
UNION ALL
SELECT
    'pg_type'::regclass::oid, o.oid, CASE o.typtype WHEN 'd' THEN 'domain' ELSE 'type' END,
    n.nspname::text, o.typname::text,
    jsonb_build_object(
        'owner', o.typowner::bigint,
        'labels', (SELECT jsonb_agg(e.enumlabel ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = o.oid),
        'base', nullif(format_type(o.typbasetype, o.typtypmod), '-'),
        'columns', (
            SELECT jsonb_agg(jsonb_build_object(
                'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
                'not_null', a.attnotnull, 'default', a.atthasdef) ORDER BY a.attnum)
            FROM pg_attribute AS a WHERE a.attrelid = o.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_type AS o
JOIN pg_namespace AS n ON n.oid = o.typnamespace
WHERE {only} AND n.nspname !~ '^pg_' AND n.nspname NOT IN ('_dteg', 'ds_cache', 'information_schema')
    AND (o.typtype IN ('e', 'd', 'r')
        OR (o.typtype = 'c' AND EXISTS (SELECT FROM pg_class AS c WHERE c.oid = o.typrelid AND c.relkind = 'c')))
    AND NOT EXISTS (
        SELECT FROM pg_depend AS d
        WHERE d.classid = 'pg_type'::regclass AND d.objid = o.oid AND d.deptype = 'e')
UNION ALL
SELECT
    'pg_namespace'::regclass::oid, o.oid, 'schema', ''::text, o.nspname::text,
    jsonb_build_object('owner', o.nspowner::bigint)
FROM pg_namespace AS o
WHERE {only} AND o.nspname !~ '^pg_' AND o.nspname NOT IN ('_dteg', 'ds_cache', 'information_schema')
UNION ALL
SELECT
    'pg_extension'::regclass::oid, o.oid, 'extension', ''::text, o.extname::text,
    jsonb_build_object('version', o.extversion)
FROM pg_extension AS o
WHERE {only};

-- name: cluster_images
SELECT
    'pg_authid'::regclass::oid AS class, r.oid AS object, 'role' AS kind, ''::text AS schema, r.rolname::text AS name,
    jsonb_build_object(
        'superuser', r.rolsuper, 'inherit', r.rolinherit, 'create_role', r.rolcreaterole,
        'create_database', r.rolcreatedb, 'login', r.rolcanlogin, 'replication', r.rolreplication,
        'bypass_row_security', r.rolbypassrls, 'connection_limit', r.rolconnlimit,
        'valid_until', r.rolvaliduntil, 'settings', to_jsonb(r.rolconfig),
        'member_of', coalesce((
            SELECT jsonb_agg(DISTINCT g.rolname ORDER BY g.rolname)
            FROM pg_auth_members AS m JOIN pg_roles AS g ON g.oid = m.roleid WHERE m.member = r.oid), '[]')) AS image
FROM pg_roles AS r
WHERE r.rolname !~ '^pg_'
UNION ALL
SELECT
    'pg_database'::regclass::oid, d.oid, 'database', ''::text, d.datname::text,
    jsonb_build_object(
        'owner', d.datdba::bigint, 'encoding', pg_encoding_to_char(d.encoding), 'connections', d.datallowconn,
        'connection_limit', d.datconnlimit)
FROM pg_database AS d
WHERE d.datname NOT IN ('template0', 'template1');
