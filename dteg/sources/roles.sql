-- name: missing
-- Whether a role, a schema or a right is missing that `ensure_roles` can make.
SELECT (SELECT count(*) < 2 FROM pg_roles WHERE rolname IN ('dteg_builder', 'dteg_reader'))
    OR to_regnamespace('ds_cache') IS NULL OR to_regnamespace('ds') IS NULL OR to_regnamespace('dict') IS NULL
    OR NOT pg_has_role(current_user, (SELECT oid FROM pg_roles WHERE rolname = 'dteg_builder'), 'USAGE')
    OR NOT has_schema_privilege((SELECT oid FROM pg_roles WHERE rolname = 'dteg_builder'), to_regnamespace('ds'), 'CREATE')
    OR NOT has_schema_privilege((SELECT oid FROM pg_roles WHERE rolname = 'dteg_builder'), to_regnamespace('ds_cache'), 'CREATE')
    OR NOT has_schema_privilege((SELECT oid FROM pg_roles WHERE rolname = 'dteg_reader'), to_regnamespace('ds'), 'USAGE')
    OR NOT has_schema_privilege((SELECT oid FROM pg_roles WHERE rolname = 'dteg_reader'), to_regnamespace('dict'), 'USAGE')
    OR EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
          AND n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache')
          AND NOT (
              has_table_privilege((SELECT oid FROM pg_roles WHERE rolname = 'dteg_builder'), c.oid, 'SELECT')
              AND has_schema_privilege((SELECT oid FROM pg_roles WHERE rolname = 'dteg_builder'), n.oid, 'USAGE')
          )
          AND has_table_privilege(current_user, c.oid, 'SELECT WITH GRANT OPTION')
    )

-- name: rights
-- What the two roles may do in the schemas of datasets; the schemas are there.
GRANT USAGE, CREATE ON SCHEMA ds_cache, ds TO dteg_builder;
GRANT USAGE ON SCHEMA dict TO dteg_builder, dteg_reader;
GRANT USAGE ON SCHEMA ds TO dteg_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA dict TO dteg_builder, dteg_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA dict GRANT SELECT ON TABLES TO dteg_builder, dteg_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE dteg_builder IN SCHEMA ds GRANT SELECT ON TABLES TO dteg_reader

-- name: grants
-- The statements that let the builder read tables of the warehouse that it cannot read yet.
SELECT format('GRANT USAGE ON SCHEMA %I TO dteg_builder', n.nspname)
FROM pg_namespace n
WHERE n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache', 'ds', 'dict')
  AND NOT has_schema_privilege('dteg_builder', n.oid, 'USAGE')
  AND has_schema_privilege(current_user, n.oid, 'USAGE WITH GRANT OPTION')
UNION ALL
SELECT format('GRANT SELECT ON %I.%I TO dteg_builder', n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname !~ '^(pg_|src_)' AND n.nspname NOT IN ('information_schema', '_dteg', 'ds_cache')
  AND NOT has_table_privilege('dteg_builder', c.oid, 'SELECT')
  AND has_table_privilege(current_user, c.oid, 'SELECT WITH GRANT OPTION')
