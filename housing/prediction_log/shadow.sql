-- a database of its own beside the log, so that writing it never waits for the service's log, or
-- the other way round; safe to run at each start
CREATE TABLE IF NOT EXISTS shadow (
  number INTEGER PRIMARY KEY,       -- in the order in which they were written
  prediction_id TEXT NOT NULL,      -- of the logged prediction that the challenger made too
  model_name TEXT NOT NULL,         -- of the challenger
  model_version TEXT NOT NULL,
  prediction REAL,                  -- in $100,000; NULL if the challenger failed
  low REAL, high REAL,              -- the ends of the 90 % interval, in $100,000
  latency_us REAL NOT NULL,         -- of its batch, divided by the rows
  answered_at TEXT NOT NULL,        -- UTC, ISO 8601
  problem TEXT                      -- why the challenger failed
);
CREATE UNIQUE INDEX IF NOT EXISTS shadow_prediction
  ON shadow (prediction_id, model_name, model_version);
