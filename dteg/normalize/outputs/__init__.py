"""What a normalized file is written as: tables, DDL, dbt, a diagram and a report."""
