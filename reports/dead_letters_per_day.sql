-- title: Dead letters by day, dataset and reason
-- window: 1d
-- delay: 15m
-- By arrival, so that a window is complete when it is made.
select
    dataset,
    reason,
    count(*) as dead_letters,
    count(redriven_at) as sent_again,
    sum(original_bytes) as bytes
from dead_letters
where ingest_time >= $from and ingest_time < $to
group by dataset, reason
order by dead_letters desc, dataset, reason
