"""A small database with one of everything that a backup has to bring back."""

import psycopg

ROLES = ("backup_reader", "backup_owner")
SQL = r"""
CREATE EXTENSION pg_trgm;
CREATE SCHEMA shop AUTHORIZATION backup_owner;
CREATE TABLE shop.orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "Name" text, amount numeric(12, 2), at timestamptz, doc jsonb,
    b bytea, "weird ""col" text
);
INSERT INTO shop.orders ("Name", amount, at, doc, b, "weird ""col")
SELECT 'n' || i || E'\n\t\\', i * 1.01, timestamptz '2026-03-29 00:30Z' + i * interval '1 min', jsonb_build_object('i', i),
    decode(md5(i::text), 'hex'), CASE WHEN i % 7 = 0 THEN NULL ELSE E'\\.' END
FROM generate_series(1, 2000) AS i;
CREATE INDEX orders_name ON shop.orders USING gin ("Name" gin_trgm_ops);
CREATE TABLE shop.nothing ();
CREATE TABLE shop.texts (t text);
INSERT INTO shop.texts VALUES (''), (''), (repeat('x', 20000)), ('123456789'), (NULL);
CREATE TABLE shop.parts (d date, v int) PARTITION BY RANGE (d);
CREATE TABLE shop.parts_2026 PARTITION OF shop.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO shop.parts SELECT '2026-03-01', i FROM generate_series(1, 100) AS i;
CREATE TABLE shop.base (a int);
CREATE TABLE shop.child (b int) INHERITS (shop.base);
INSERT INTO shop.child VALUES (1, 2), (3, 4);
INSERT INTO shop.base VALUES (9);
ALTER TABLE shop.orders OWNER TO backup_owner;
CREATE SEQUENCE shop.numbers START 42;
SELECT nextval('shop.numbers');
CREATE MATERIALIZED VIEW shop.totals AS SELECT count(*) AS n, sum(amount) AS amount FROM shop.orders;
CREATE MATERIALIZED VIEW shop.not_filled AS SELECT 1 AS x WITH NO DATA;
CREATE VIEW shop.large AS SELECT id, amount FROM shop.orders WHERE amount > 500;
SELECT lo_from_bytea(0, repeat('large', 10000)::bytea), lo_from_bytea(0, ''::bytea);
GRANT USAGE ON SCHEMA shop TO backup_reader;
GRANT SELECT ON shop.orders TO backup_reader;
GRANT SELECT (amount) ON shop.large TO backup_reader;
COMMENT ON TABLE shop.orders IS 'all orders';
CREATE FUNCTION shop.next(i int) RETURNS int LANGUAGE sql AS 'SELECT i + 1';
CREATE TYPE shop.mood AS ENUM ('good', 'bad');
ALTER TABLE shop.orders ENABLE ROW LEVEL SECURITY;
CREATE POLICY only_large ON shop.orders USING (amount > 100);
DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET search_path TO "$user", shop', current_database());
    EXECUTE format('GRANT CREATE ON DATABASE %I TO backup_reader', current_database());
    EXECUTE format('COMMENT ON DATABASE %I IS ''the shop''', current_database());
END $$;
"""
TABLES = 6
ROWS = 2000 + 5 + 100 + 2 + 1


def make_roles(url):
    with psycopg.connect(url, autocommit=True) as connection:
        for role in ROLES:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone():
                connection.execute(f"CREATE ROLE {role} NOLOGIN")


def fill(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(SQL)
