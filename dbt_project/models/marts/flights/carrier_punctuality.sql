with by_carrier as (
    select
        carrier_id,
        min(flight_date) as first_flight_date,
        max(flight_date) as last_flight_date,
        count(*) as flights,
        count(*) filter (where is_cancelled) as cancelled_flights,
        count(*) filter (where is_arrived) as arrived_flights,
        count(*) filter (where is_arrival_unrecorded) as arrival_unrecorded_flights,
        avg(departure_delay_minutes)::double precision as mean_departure_delay_minutes,
        avg(arrival_delay_minutes)::double precision as mean_arrival_delay_minutes,
        percentile_cont(0.9) within group (order by arrival_delay_minutes)
            as p90_arrival_delay_minutes,
        avg(is_cancelled::integer)::double precision as share_cancelled,
        avg(is_arrival_late_15::integer)::double precision as share_late_15
    from {{ ref('int_flights_classified') }}
    group by carrier_id
)

select
    by_carrier.carrier_id,
    airlines.carrier_name,
    by_carrier.first_flight_date,
    by_carrier.last_flight_date,
    by_carrier.flights,
    by_carrier.cancelled_flights,
    by_carrier.arrived_flights,
    by_carrier.arrival_unrecorded_flights,
    by_carrier.mean_departure_delay_minutes,
    by_carrier.mean_arrival_delay_minutes,
    by_carrier.p90_arrival_delay_minutes,
    by_carrier.share_cancelled,
    by_carrier.share_late_15,
    case
        when by_carrier.arrived_flights > 0
            then rank() over (order by by_carrier.mean_arrival_delay_minutes desc nulls last)
    end as arrival_delay_rank
from by_carrier
left join {{ ref('stg_flights__airlines') }} as airlines
    on by_carrier.carrier_id = airlines.carrier_id
