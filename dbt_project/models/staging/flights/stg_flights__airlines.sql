select
    carrier as carrier_id,
    name as carrier_name,
    _loaded_at as loaded_at
from {{ source('raw', 'airlines') }}
