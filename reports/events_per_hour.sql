-- title: Events and sources by hour and dataset
-- window: 1h
-- delay: 10m
-- By event time, each event once. What comes later than the delay is counted when the window is made anew: `alluvium reports run`.
select
    'telemetry' as dataset,
    count(*) as events,
    count(distinct source) as sources,
    min(event_time) as first_event,
    max(event_time) as last_event
from telemetry
where event_time >= $from and event_time < $to
union all
select
    'data' as dataset,
    count(*) as events,
    count(distinct source) as sources,
    min(event_time) as first_event,
    max(event_time) as last_event
from data
where event_time >= $from and event_time < $to
order by dataset
