select
    flight_id,
    carrier_id,
    plane_id,
    origin_airport_id,
    destination_airport_id,
    flight_date,
    date_trunc('month', flight_date::timestamp)::date as flight_month,
    scheduled_hour_at,
    departure_delay_minutes,
    arrival_delay_minutes,
    air_time_minutes,
    distance_miles,
    is_cancelled,
    arrival_delay_minutes is not null as is_arrived,
    not is_cancelled and arrival_delay_minutes is null as is_arrival_unrecorded,
    -- Null, not false, without a delay: shares then count only flights that have one.
    departure_delay_minutes >= 15 as is_departure_late_15,
    arrival_delay_minutes >= 15 as is_arrival_late_15
from {{ ref('stg_flights__flights') }}
