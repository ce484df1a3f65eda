-- name: v1
CREATE SCHEMA IF NOT EXISTS dict;

CREATE TABLE _dteg.dictionaries (
    slug text PRIMARY KEY,
    title text NOT NULL,
    key_column text NOT NULL,
    columns jsonb NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE _dteg.dictionary_changes (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    dictionary text NOT NULL,
    version bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    who text NOT NULL,
    what text NOT NULL,
    key text NOT NULL,
    old jsonb,
    new jsonb
);
CREATE INDEX ON _dteg.dictionary_changes (dictionary, id);
CREATE INDEX ON _dteg.dictionary_changes (dictionary, version);

-- Notes what a statement has done to the rows of a dictionary, whoever has run it. A statement that has changed nothing
-- leaves no trace. A key that was changed is a row less and a row more. No column of a dictionary begins with an
-- underscore, so none hides `_row`.
CREATE FUNCTION _dteg.note_dictionary_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    _author text := coalesce(nullif(current_setting('dteg.who', true), ''), session_user);
    _key text := TG_ARGV[0];
    _version bigint;
    _count bigint;
BEGIN
    UPDATE _dteg.dictionaries AS _d SET version = _d.version + 1 WHERE _d.slug = TG_TABLE_NAME
        RETURNING _d.version INTO _version;
    IF TG_OP = 'INSERT' THEN
        INSERT INTO _dteg.dictionary_changes (dictionary, version, who, what, key, new)
        SELECT TG_TABLE_NAME, _version, _author, 'insert', to_jsonb(_row) ->> _key, to_jsonb(_row)
        FROM _new_rows AS _row;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO _dteg.dictionary_changes (dictionary, version, who, what, key, old)
        SELECT TG_TABLE_NAME, _version, _author, 'delete', to_jsonb(_row) ->> _key, to_jsonb(_row)
        FROM _old_rows AS _row;
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO _dteg.dictionary_changes (dictionary, version, who, what, key, old, new)
        SELECT TG_TABLE_NAME, _version, _author,
            CASE WHEN _o._key IS NULL THEN 'insert' WHEN _n._key IS NULL THEN 'delete' ELSE 'update' END,
            coalesce(_o._key, _n._key), _o._whole, _n._whole
        FROM (SELECT to_jsonb(_row) ->> _key AS _key, to_jsonb(_row) AS _whole FROM _old_rows AS _row) AS _o
        FULL JOIN (SELECT to_jsonb(_row) ->> _key AS _key, to_jsonb(_row) AS _whole FROM _new_rows AS _row) AS _n
            ON _o._key = _n._key
        WHERE _o._whole IS DISTINCT FROM _n._whole;
    ELSE
        EXECUTE format(
            'INSERT INTO _dteg.dictionary_changes (dictionary, version, who, what, key, old)'
            ' SELECT %L, %L::bigint, %L, ''delete'', to_jsonb(_row) ->> %L, to_jsonb(_row) FROM %I.%I AS _row',
            TG_TABLE_NAME, _version, _author, _key, TG_TABLE_SCHEMA, TG_TABLE_NAME
        );
    END IF;
    GET DIAGNOSTICS _count = ROW_COUNT;
    IF _count > 0 THEN
        UPDATE _dteg.dictionaries SET changed_at = now() WHERE slug = TG_TABLE_NAME;
    ELSE
        UPDATE _dteg.dictionaries AS _d SET version = _d.version - 1 WHERE _d.slug = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END
$function$;
