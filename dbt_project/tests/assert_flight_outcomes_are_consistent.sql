-- A departed flight has a departure delay, a cancelled one has no delay, and air time is known
-- exactly when the arrival delay is: the means and shares of the marts rest on these three facts.
select
    flight_id,
    is_cancelled,
    departure_delay_minutes,
    arrival_delay_minutes,
    air_time_minutes
from {{ ref('stg_flights__flights') }}
where
    is_cancelled != (departure_delay_minutes is null)
    or (is_cancelled and arrival_delay_minutes is not null)
    or (air_time_minutes is null) != (arrival_delay_minutes is null)
