-- safe to run at each start
CREATE TABLE IF NOT EXISTS prediction (
  id TEXT PRIMARY KEY,              -- of the answer; a refused request has one too
  request_id TEXT NOT NULL,         -- shared by the answers to one list
  asked_at TEXT NOT NULL,           -- UTC, ISO 8601
  status INTEGER NOT NULL,          -- the HTTP status of the answer
  input TEXT,                       -- JSON; of a refused request the body as received, cut short
  prediction REAL,                  -- in $100,000; NULL if refused
  model_name TEXT,
  model_version TEXT,
  latency_ms REAL NOT NULL,         -- from the request's arrival to this row
  problem TEXT,                     -- why it was refused
  low REAL, high REAL,              -- the ends of the 90 % interval, in $100,000
  warnings TEXT,                    -- JSON: in what the input is unlike the training rows
  run_id TEXT,                      -- the MLflow run of the model
  caller_id TEXT,                   -- X-Request-ID, as the caller gave it
  traceparent TEXT,                 -- W3C Trace Context, as the caller gave it
  caller TEXT                       -- the name of the API key
);
CREATE INDEX IF NOT EXISTS prediction_asked_at ON prediction (asked_at);
