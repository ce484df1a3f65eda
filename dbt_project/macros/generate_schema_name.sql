{#- A configured schema is used as written (dbt would otherwise prefix it with the target schema);
    a model without one goes to the target schema. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
