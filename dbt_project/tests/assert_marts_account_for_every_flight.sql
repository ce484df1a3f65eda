-- Every scheduled flight is counted exactly once in every mart; a join that drops or doubles
-- flights shows up here. Flights without a tail number belong to no plane.
with expected as (
    select
        count(*) as flights,
        count(plane_id) as flights_with_plane
    from {{ ref('stg_flights__flights') }}
),

counted as (
    select
        'carrier_punctuality' as mart,
        sum(flights) as flights
    from {{ ref('carrier_punctuality') }}
    union all
    select
        'carrier_punctuality_by_month' as mart,
        sum(flights) as flights
    from {{ ref('carrier_punctuality_by_month') }}
    union all
    select
        'airport_weather_delays' as mart,
        sum(flights) as flights
    from {{ ref('airport_weather_delays') }}
    union all
    select
        'route_punctuality' as mart,
        sum(flights) as flights
    from {{ ref('route_punctuality') }}
    union all
    select
        'plane_utilisation' as mart,
        sum(flights) as flights
    from {{ ref('plane_utilisation') }}
)

select
    counted.mart,
    counted.flights,
    expected.flights as expected_flights,
    expected.flights_with_plane
from counted
cross join expected
where
    coalesce(counted.flights, 0) != case
        when counted.mart = 'plane_utilisation' then expected.flights_with_plane
        else expected.flights
    end
