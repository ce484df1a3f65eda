-- Runs once, when the PostgreSQL volume is new. The warehouse database is made by POSTGRES_DB.
create database dagster;
