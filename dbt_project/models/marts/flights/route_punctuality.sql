with by_route as (
    select
        origin_airport_id,
        destination_airport_id,
        count(*) as flights,
        count(distinct carrier_id) as carriers,
        count(*) filter (where is_cancelled) as cancelled_flights,
        count(*) filter (where is_arrived) as arrived_flights,
        -- Two routes to Eagle, Colorado carry two distances one mile apart.
        max(distance_miles) as distance_miles,
        avg(air_time_minutes)::double precision as mean_air_time_minutes,
        avg(arrival_delay_minutes)::double precision as mean_arrival_delay_minutes,
        avg(is_cancelled::integer)::double precision as share_cancelled,
        avg(is_arrival_late_15::integer)::double precision as share_late_15
    from {{ ref('int_flights_classified') }}
    group by origin_airport_id, destination_airport_id
)

select
    by_route.origin_airport_id || '-' || by_route.destination_airport_id as route_id,
    by_route.origin_airport_id,
    origins.airport_name as origin_airport_name,
    by_route.destination_airport_id,
    destinations.airport_name as destination_airport_name,
    by_route.distance_miles,
    by_route.carriers,
    by_route.flights,
    by_route.cancelled_flights,
    by_route.arrived_flights,
    by_route.mean_air_time_minutes,
    by_route.mean_arrival_delay_minutes,
    by_route.share_cancelled,
    by_route.share_late_15
from by_route
left join {{ ref('stg_flights__airports') }} as origins
    on by_route.origin_airport_id = origins.airport_id
left join {{ ref('stg_flights__airports') }} as destinations
    on by_route.destination_airport_id = destinations.airport_id
