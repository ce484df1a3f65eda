-- What a backup of PostgreSQL asks the server.

-- name: properties
SELECT
    pg_get_userbyid(d.datdba) AS owner,
    pg_encoding_to_char(d.encoding) AS encoding,
    d.datcollate AS "collate",
    d.datctype AS ctype,
    coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS locale_provider,
    coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', '') AS locale,
    coalesce(shobj_description(d.oid, 'pg_database'), '') AS comment
FROM pg_database AS d
WHERE d.datname = current_database();

-- name: settings
SELECT
    CASE WHEN s.setrole = 0 THEN '' ELSE pg_get_userbyid(s.setrole) END,
    split_part(c, '=', 1),
    substr(c, strpos(c, '=') + 1)
FROM pg_db_role_setting AS s
CROSS JOIN unnest(s.setconfig) AS c
WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1, 2;

-- name: grants
SELECT CASE WHEN a.grantee = 0 THEN '' ELSE pg_get_userbyid(a.grantee) END, a.privilege_type, a.is_grantable
FROM pg_database AS d
CROSS JOIN aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
WHERE d.datname = current_database() AND a.grantee <> d.datdba
ORDER BY 1, 2;

-- name: roles
-- Owners and those with rights; the first superuser is in no such list, so it is looked for among the owners.
SELECT
    r.rolname,
    r.rolcanlogin,
    ARRAY(
        SELECT pg_get_userbyid(m.roleid)::text FROM pg_auth_members AS m WHERE m.member = r.oid ORDER BY 1
    )
FROM pg_roles AS r
WHERE
    r.oid IN (
        SELECT s.refobjid
        FROM pg_shdepend AS s
        INNER JOIN pg_database AS d ON d.datname = current_database()
        WHERE
            s.refclassid = 'pg_authid'::regclass
            AND (s.dbid = d.oid OR (s.classid = 'pg_database'::regclass AND s.objid = d.oid))
    )
    OR r.oid IN (SELECT datdba FROM pg_database WHERE datname = current_database())
    OR r.oid IN (SELECT relowner FROM pg_class WHERE oid >= 16384)
    OR r.oid IN (SELECT proowner FROM pg_proc WHERE oid >= 16384)
ORDER BY 1;

-- name: extensions
SELECT extname, extversion FROM pg_extension WHERE extname <> 'plpgsql' ORDER BY 1;

-- name: tables
-- What holds rows itself and belongs to no extension.
SELECT n.nspname, c.relname, c.relkind::text, c.relispopulated
FROM pg_class AS c
INNER JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE
    c.relkind IN ('r', 'm')
    -- Rows of datasets are left out of dumps.
    AND NOT (c.relkind = 'm' AND n.nspname = 'ds_cache')
    AND c.relpersistence <> 't'
    AND n.nspname NOT LIKE 'pg\_%'
    AND n.nspname <> 'information_schema'
    AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
ORDER BY 1, 2;

-- name: left_out
SELECT
    (SELECT count(*) FROM pg_subscription WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())),
    (SELECT count(*) FROM pg_foreign_table);

-- name: seen_secrets
SELECT count(*) FROM pg_user_mappings WHERE umoptions IS NOT NULL;

-- name: size
SELECT pg_database_size(current_database());

-- name: role_state
SELECT
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
    EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s),
    EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s AND rolsuper),
    EXISTS (SELECT FROM pg_roles WHERE rolname = %(role)s AND pg_has_role(current_user, oid, 'MEMBER'));
