CREATE OR REPLACE VIEW "telemetry" AS
SELECT "event_id", "source", "type", "event_time", "event_date", "ingest_time", "owner", "battery", "firmware", "lat", "lon", "status", "unit", "value", "extra"
FROM (
  SELECT *, row_number() OVER (PARTITION BY owner, source, event_id ORDER BY ingest_time, event_time) AS alluvium_copy
  FROM "telemetry_raw"
)
WHERE alluvium_copy = 1
