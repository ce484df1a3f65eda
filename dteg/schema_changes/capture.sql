-- What listening puts into a database. Nothing here may stop or delay a statement of somebody else:
-- each function swallows its own errors, waits at most two seconds for a lock, and sends NOTIFY only when that
-- cannot fail at the commit.

-- name: tables
CREATE SCHEMA IF NOT EXISTS _dteg;
CREATE TABLE IF NOT EXISTS _dteg.schema_listener (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    installation uuid NOT NULL,
    -- A copy of the database, or one restored from a backup, has another oid: there nothing is captured.
    database oid NOT NULL,
    keeps_text boolean NOT NULL
);
CREATE TABLE IF NOT EXISTS _dteg.schema_events (
    -- Drawn while the object is locked: events of one object have ids in the order in which they happened.
    id bigint GENERATED ALWAYS AS IDENTITY,
    xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    at timestamptz NOT NULL,
    who text NOT NULL,
    role text,
    application text,
    client inet,
    tag text NOT NULL,
    class oid,
    object oid,
    relation oid,
    kind text NOT NULL,
    schema text,
    name text,
    identity text,
    is_drop boolean NOT NULL,
    is_original boolean NOT NULL DEFAULT true,
    is_routine boolean NOT NULL DEFAULT false,
    image jsonb,
    affected jsonb,
    gone_indexes text[],
    ddl text,
    PRIMARY KEY (xid, id)
);
CREATE SEQUENCE IF NOT EXISTS _dteg.schema_capture_failures;
REVOKE ALL ON _dteg.schema_listener, _dteg.schema_events, _dteg.schema_capture_failures FROM PUBLIC;

-- name: register
INSERT INTO _dteg.schema_listener (installation, database, keeps_text)
VALUES (%(installation)s, (SELECT oid FROM pg_database WHERE datname = current_database()), %(keeps_text)s)
ON CONFLICT (only_one) DO UPDATE SET
    installation = excluded.installation, database = excluded.database, keeps_text = excluded.keeps_text;

-- name: functions
CREATE OR REPLACE FUNCTION _dteg.schema_images(wanted oid[])
RETURNS TABLE (class oid, object oid, kind text, schema text, name text, image jsonb)
-- Planned once in a session: to plan it takes longer than to run it.
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY {images};
END
$function$;

-- The table that an index, owned sequence, constraint, trigger, policy, rule, default or statistic belongs to.
CREATE OR REPLACE FUNCTION _dteg.schema_relation_of(class oid, object oid) RETURNS oid
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    RETURN CASE class
        WHEN 'pg_class'::regclass THEN coalesce(
            (SELECT x.indrelid FROM pg_index AS x WHERE x.indexrelid = object),
            (SELECT d.refobjid FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
                WHERE d.classid = 'pg_class'::regclass AND d.objid = object AND d.deptype IN ('a', 'i')
                    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 LIMIT 1),
            (SELECT c.oid FROM pg_class AS c WHERE c.oid = object AND c.relkind <> 'c'))
        WHEN 'pg_constraint'::regclass THEN (SELECT nullif(k.conrelid, 0) FROM pg_constraint AS k WHERE k.oid = object)
        WHEN 'pg_trigger'::regclass THEN (SELECT t.tgrelid FROM pg_trigger AS t WHERE t.oid = object)
        WHEN 'pg_policy'::regclass THEN (SELECT p.polrelid FROM pg_policy AS p WHERE p.oid = object)
        WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite AS r WHERE r.oid = object)
        WHEN 'pg_attrdef'::regclass THEN (SELECT a.adrelid FROM pg_attrdef AS a WHERE a.oid = object)
        WHEN 'pg_statistic_ext'::regclass THEN (SELECT s.stxrelid FROM pg_statistic_ext AS s WHERE s.oid = object)
    END;
END
$function$;

-- Objects whose image a statement changes although they are not its object.
CREATE OR REPLACE FUNCTION _dteg.schema_affected(tag text, class oid, object oid) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    others oid[];
BEGIN
    IF class = 'pg_class'::regclass AND tag IN ('ALTER TABLE', 'CREATE INDEX', 'ALTER INDEX', 'CREATE TRIGGER') THEN
        WITH RECURSIVE heirs AS (
            SELECT i.inhrelid FROM pg_inherits AS i WHERE i.inhparent = schema_affected.object
            UNION
            SELECT i.inhrelid FROM pg_inherits AS i JOIN heirs AS h ON i.inhparent = h.inhrelid
        )
        SELECT array_agg(f.oid) INTO others FROM (
            SELECT inhrelid AS oid FROM heirs
            UNION SELECT k.conrelid FROM pg_constraint AS k WHERE k.confrelid = schema_affected.object AND k.contype = 'f'
        ) AS f WHERE f.oid <> schema_affected.object;
    ELSIF class = 'pg_namespace'::regclass AND tag = 'ALTER SCHEMA' THEN
        SELECT array_agg(f.oid) INTO others FROM (
            SELECT c.oid FROM pg_class AS c WHERE c.relnamespace = schema_affected.object
            UNION ALL SELECT p.oid FROM pg_proc AS p WHERE p.pronamespace = schema_affected.object
            UNION ALL SELECT t.oid FROM pg_type AS t WHERE t.typnamespace = schema_affected.object
        ) AS f;
    ELSIF class = 'pg_type'::regclass AND tag IN ('ALTER TYPE', 'ALTER DOMAIN') THEN
        SELECT array_agg(DISTINCT a.attrelid) INTO others
        FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
        WHERE schema_affected.object IN (t.oid, t.typelem) AND NOT a.attisdropped;
    END IF;
    IF others IS NULL THEN
        RETURN NULL;
    END IF;
    RETURN (SELECT jsonb_agg(to_jsonb(i)) FROM _dteg.schema_images(others) AS i);
END
$function$;

CREATE OR REPLACE FUNCTION _dteg.schema_is_listened() RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $function$
    SELECT EXISTS (
        SELECT FROM _dteg.schema_listener AS l JOIN pg_database AS d ON d.oid = l.database
        WHERE d.datname = current_database())
$function$;

-- The statement's text, except where it may hold a password.
CREATE OR REPLACE FUNCTION _dteg.schema_statement(tag text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $function$
    SELECT left(current_query(), 2000) FROM _dteg.schema_listener
    WHERE keeps_text AND tag !~ '(USER MAPPING|SERVER|SUBSCRIPTION|FOREIGN DATA WRAPPER)$'
$function$;

-- A NOTIFY forbids PREPARE TRANSACTION, and fails the commit when its queue is full. Readers look by themselves, too.
CREATE OR REPLACE FUNCTION _dteg.schema_wake() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF current_setting('max_prepared_transactions') = '0' AND pg_notification_queue_usage() < 0.5 THEN
        PERFORM pg_notify('dteg_schema_changes', '');
    END IF;
END
$function$;

CREATE OR REPLACE FUNCTION _dteg.schema_failed(what text, message text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    RAISE LOG 'dteg could not record %: %', what, message;
    PERFORM nextval('_dteg.schema_capture_failures');
EXCEPTION WHEN OTHERS THEN
    NULL;
END
$function$;

CREATE OR REPLACE FUNCTION _dteg.capture_ddl() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET plan_cache_mode = force_generic_plan AS $function$
DECLARE
    recorded bigint;
BEGIN
    IF tg_tag IN ('REFRESH MATERIALIZED VIEW', 'REINDEX') OR NOT _dteg.schema_is_listened() THEN
        RETURN;
    END IF;
    WITH commands AS (
        SELECT
            row_number() OVER () AS place, c.classid, c.objid, c.command_tag, c.object_type, c.schema_name,
            c.object_identity, _dteg.schema_relation_of(c.classid, c.objid) AS relation
        FROM pg_event_trigger_ddl_commands() AS c
        WHERE NOT c.in_extension AND coalesce(c.schema_name, '') !~ '^(pg_temp|pg_toast|(_dteg|ds_cache)$)'
            AND NOT (c.object_type = 'schema' AND c.object_identity = '_dteg')
            AND NOT (c.object_type = 'trigger' AND c.object_identity LIKE 'dteg\_truncate on %')
    ), kept AS (
        -- One event for each table: CREATE TABLE with a key and a serial is a table, an index and two for a sequence.
        SELECT DISTINCT ON (coalesce('r' || c.relation, c.classid || '.' || c.objid, 'n' || c.place)) c.*
        FROM commands AS c
        WHERE NOT EXISTS (
            SELECT FROM pg_class AS r JOIN pg_namespace AS n ON n.oid = r.relnamespace
            WHERE r.oid = c.relation AND (r.relpersistence = 't' OR n.nspname IN ('_dteg', 'ds_cache') OR n.nspname ~ '^pg_'))
        ORDER BY
            coalesce('r' || c.relation, c.classid || '.' || c.objid, 'n' || c.place), c.command_tag <> tg_tag, c.place
    )
    INSERT INTO _dteg.schema_events (
        at, who, role, application, client, tag, class, object, relation, kind, schema, name, identity, is_drop, image,
        affected, ddl
    )
    SELECT
        clock_timestamp(), session_user, nullif(current_setting('role'), 'none'), current_setting('application_name'),
        inet_client_addr(), k.command_tag, k.classid, k.objid, k.relation, lower(k.object_type),
        coalesce(i.schema, k.schema_name), i.name, k.object_identity, false,
        CASE WHEN i.object IS NOT NULL THEN to_jsonb(i) END,
        _dteg.schema_affected(
            k.command_tag, CASE WHEN k.relation IS NULL THEN k.classid ELSE 'pg_class'::regclass END,
            coalesce(k.relation, k.objid)),
        _dteg.schema_statement(tg_tag)
    FROM kept AS k
    LEFT JOIN LATERAL _dteg.schema_images(ARRAY[coalesce(k.relation, k.objid)]) AS i
        ON i.class = CASE WHEN k.relation IS NULL THEN k.classid ELSE 'pg_class'::regclass END
    ORDER BY k.place;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    IF recorded > 0 THEN
        PERFORM _dteg.schema_wake();
    END IF;
EXCEPTION WHEN OTHERS THEN
    PERFORM _dteg.schema_failed(tg_tag, sqlerrm);
END
$function$;

CREATE OR REPLACE FUNCTION _dteg.capture_drop() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET plan_cache_mode = force_generic_plan AS $function$
DECLARE
    recorded bigint;
BEGIN
    IF NOT _dteg.schema_is_listened() THEN
        RETURN;
    END IF;
    WITH dropped AS MATERIALIZED (
        SELECT row_number() OVER () AS place, d.* FROM pg_event_trigger_dropped_objects() AS d
        WHERE NOT d.is_temporary AND coalesce(d.schema_name, '') !~ '^(pg_temp|pg_toast|(_dteg|ds_cache)$)'
            AND NOT (d.object_type = 'schema' AND d.object_name = '_dteg')
            AND NOT (d.object_type = 'trigger' AND d.object_identity LIKE 'dteg\_truncate on %')
    ), parts AS (
        -- Parts of tables: the name of the table comes first. What is left of it is in the catalogue already.
        SELECT d.*, to_regclass(format('%I.%I', d.address_names[1], d.address_names[2]))::oid AS relation
        FROM dropped AS d
        WHERE d.object_type IN ('table column', 'table constraint', 'default value', 'trigger', 'rule', 'policy')
            AND cardinality(d.address_names) = 3
    ), kept AS (
        SELECT d.place, d.classid, d.objid, d.object_type, d.schema_name, d.object_name, d.object_identity,
            d.original, NULL::oid AS relation
        FROM dropped AS d
        WHERE d.objsubid = 0
            AND (d.original OR d.object_type IN (
                'table', 'view', 'materialized view', 'foreign table', 'sequence', 'function', 'procedure',
                'aggregate', 'schema', 'extension')
                -- A table drops the type of its rows and the array of that.
                OR (d.object_type = 'type' AND d.object_identity NOT LIKE '%[]' AND NOT EXISTS (
                    SELECT FROM dropped AS t
                    WHERE t.classid = 'pg_class'::regclass AND t.object_identity = d.object_identity)))
            AND d.object_type NOT IN ('table constraint', 'default value', 'trigger', 'rule', 'policy')
        UNION ALL
        -- ALTER TABLE is told by its other trigger.
        SELECT DISTINCT ON (p.relation) p.place, p.classid, p.objid, p.object_type, p.schema_name, p.object_name,
            p.object_identity, p.original, p.relation
        FROM parts AS p
        WHERE p.relation IS NOT NULL AND tg_tag NOT LIKE 'ALTER %'
            AND (p.original OR p.object_type = 'table column')
        UNION ALL
        -- Told to nobody: it only carries what the statement did to other tables by CASCADE.
        SELECT 0, NULL, NULL, 'parts', NULL, NULL, NULL, false, NULL
        WHERE tg_tag LIKE 'ALTER %' AND EXISTS (SELECT FROM parts AS p WHERE NOT p.original)
    ), numbered AS (
        SELECT k.*, row_number() OVER (ORDER BY k.original DESC, k.place) AS number FROM kept AS k
    )
    INSERT INTO _dteg.schema_events (
        at, who, role, application, client, tag, class, object, relation, kind, schema, name, identity, is_drop,
        is_original, is_routine, image, affected, gone_indexes, ddl
    )
    SELECT
        clock_timestamp(), session_user, nullif(current_setting('role'), 'none'), current_setting('application_name'),
        inet_client_addr(), tg_tag, n.classid, n.objid, n.relation, n.object_type, coalesce(i.schema, n.schema_name),
        coalesce(i.name, n.object_name), n.object_identity, n.relation IS NULL, n.original,
        NOT n.original AND EXISTS (
            SELECT FROM dropped AS d WHERE d.original AND d.object_name ~ '__dbt_(tmp|backup)'),
        CASE WHEN i.object IS NOT NULL THEN to_jsonb(i) END,
        CASE WHEN n.number = 1 THEN (
            SELECT jsonb_agg(to_jsonb(a))
            FROM _dteg.schema_images(ARRAY(
                SELECT p.relation FROM parts AS p WHERE p.relation IS NOT NULL
                -- But not what has an event of its own, which is to show the difference.
                EXCEPT SELECT k.relation FROM kept AS k
                EXCEPT SELECT p.relation FROM parts AS p WHERE p.original AND tg_tag LIKE 'ALTER %')) AS a)
        END,
        CASE WHEN n.number = 1 THEN ARRAY(
            SELECT d.schema_name || '.' || d.object_name FROM dropped AS d
            WHERE d.object_type = 'index' AND NOT d.original)
        END,
        _dteg.schema_statement(tg_tag)
    FROM numbered AS n
    LEFT JOIN LATERAL _dteg.schema_images(ARRAY[n.relation]) AS i ON n.relation IS NOT NULL
    ORDER BY n.number;
    GET DIAGNOSTICS recorded = ROW_COUNT;
    IF recorded > 0 THEN
        PERFORM _dteg.schema_wake();
    END IF;
EXCEPTION WHEN OTHERS THEN
    PERFORM _dteg.schema_failed(tg_tag, sqlerrm);
END
$function$;

CREATE OR REPLACE FUNCTION _dteg.capture_truncate() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET lock_timeout = '2s' SET plan_cache_mode = force_generic_plan AS $function$
BEGIN
    IF _dteg.schema_is_listened() THEN
        INSERT INTO _dteg.schema_events (
            at, who, role, application, client, tag, class, object, relation, kind, schema, name, identity, is_drop,
            image, ddl
        )
        SELECT
            clock_timestamp(), session_user, nullif(current_setting('role'), 'none'),
            current_setting('application_name'), inet_client_addr(), 'TRUNCATE', 'pg_class'::regclass, tg_relid,
            tg_relid, i.kind, tg_table_schema, tg_table_name, format('%I.%I', tg_table_schema, tg_table_name), false,
            to_jsonb(i), _dteg.schema_statement('TRUNCATE')
        FROM _dteg.schema_images(ARRAY[tg_relid]) AS i;
        PERFORM _dteg.schema_wake();
    END IF;
    RETURN NULL;
EXCEPTION WHEN OTHERS THEN
    PERFORM _dteg.schema_failed('TRUNCATE', sqlerrm);
    RETURN NULL;
END
$function$;
REVOKE ALL ON FUNCTION
    _dteg.schema_images(oid[]), _dteg.schema_relation_of(oid, oid), _dteg.schema_affected(text, oid, oid),
    _dteg.schema_is_listened(), _dteg.schema_statement(text), _dteg.schema_wake(), _dteg.schema_failed(text, text),
    _dteg.capture_ddl(), _dteg.capture_drop(), _dteg.capture_truncate()
FROM PUBLIC;

-- name: triggers
DROP EVENT TRIGGER IF EXISTS dteg_schema_ddl;
DROP EVENT TRIGGER IF EXISTS dteg_schema_drop;
CREATE EVENT TRIGGER dteg_schema_ddl ON ddl_command_end EXECUTE FUNCTION _dteg.capture_ddl();
CREATE EVENT TRIGGER dteg_schema_drop ON sql_drop EXECUTE FUNCTION _dteg.capture_drop();
-- Also in sessions with session_replication_role = replica.
ALTER EVENT TRIGGER dteg_schema_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER dteg_schema_drop ENABLE ALWAYS;

-- name: remove_triggers
DROP EVENT TRIGGER IF EXISTS dteg_schema_ddl;
DROP EVENT TRIGGER IF EXISTS dteg_schema_drop;

-- name: remove
DROP FUNCTION IF EXISTS
    _dteg.capture_ddl(), _dteg.capture_drop(), _dteg.capture_truncate(), _dteg.schema_images(oid[]),
    _dteg.schema_relation_of(oid, oid), _dteg.schema_affected(text, oid, oid), _dteg.schema_is_listened(),
    _dteg.schema_statement(text), _dteg.schema_wake(), _dteg.schema_failed(text, text);
DROP TABLE IF EXISTS _dteg.schema_events, _dteg.schema_listener;
DROP SEQUENCE IF EXISTS _dteg.schema_capture_failures;

-- name: truncate_triggers
SELECT n.nspname, c.relname
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE t.tgname = 'dteg_truncate' AND t.tgparentid = 0
ORDER BY 1, 2;

-- name: health
SELECT
    to_regclass('_dteg.schema_events') IS NOT NULL AND to_regclass('_dteg.schema_listener') IS NOT NULL AS has_tables,
    (SELECT count(*) FROM pg_event_trigger AS t
        WHERE t.evtname IN ('dteg_schema_ddl', 'dteg_schema_drop') AND t.evtenabled = 'A') AS triggers,
    (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database()) AS database,
    current_setting('max_prepared_transactions') = '0' AS notifies;

-- name: listener
SELECT l.installation, l.database, coalesce((
    SELECT s.last_value FROM pg_sequences AS s
    WHERE s.schemaname = '_dteg' AND s.sequencename = 'schema_capture_failures'), 0) AS failures
FROM _dteg.schema_listener AS l;

-- name: unread
-- All that is visible and not delivered yet, above the cursor. Ids follow the order of each object's locks, so that
-- an event never comes before an earlier one of its object.
SELECT
    e.id, e.xid::text AS xid_text, e.at, e.who, e.role, e.application, host(e.client) AS client, e.tag, e.class,
    e.object, e.relation, e.kind, e.schema, e.name, e.identity, e.is_drop, e.is_original, e.is_routine, e.image,
    e.affected, e.gone_indexes, e.ddl
FROM _dteg.schema_events AS e
WHERE e.xid >= %(cursor)s::text::xid8 AND NOT (e.id = ANY(%(delivered)s::bigint[]))
ORDER BY e.id
LIMIT %(limit)s;

-- name: horizon
SELECT pg_snapshot_xmin(pg_current_snapshot())::text;

-- name: blockers
-- Transactions that have written, or may yet, oldest number first; a prepared one has no session.
SELECT * FROM (
    SELECT
        a.pid, a.usename::text AS "user", a.datname::text AS database, a.application_name AS application, a.state,
        extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS age_s, age(a.backend_xid) AS distance
    FROM pg_stat_activity AS a WHERE a.backend_xid IS NOT NULL AND a.pid <> pg_backend_pid()
    UNION ALL
    SELECT
        NULL, p.owner::text, p.database::text, '', 'prepared transaction ' || p.gid,
        extract(epoch FROM clock_timestamp() - p.prepared)::float8, age(p.transaction)
    FROM pg_prepared_xacts AS p
) AS b
ORDER BY b.distance DESC LIMIT 1;

-- name: forget
DELETE FROM _dteg.schema_events
WHERE xid < %(cursor)s::text::xid8 AND at < now() - make_interval(secs => %(keep_s)s);
