-- safe to run at each start
CREATE TABLE IF NOT EXISTS prediction (
  id TEXT PRIMARY KEY,              -- of the prediction; a refused request has one too
  request_id TEXT NOT NULL,         -- shared by all predictions of one request
  asked_at TEXT NOT NULL,           -- when the request arrived: UTC, ISO 8601
  status INTEGER NOT NULL,          -- the HTTP status of the response
  input TEXT,                       -- JSON; for a refused request the body as received, truncated
  prediction REAL,                  -- in $100,000; NULL if refused
  model_name TEXT,
  model_version TEXT,
  latency_ms REAL NOT NULL,         -- from the request's arrival to this row
  problem TEXT,                     -- why the request was refused
  low REAL, high REAL,              -- the ends of the 90 % interval, in $100,000
  warnings TEXT,                    -- JSON: how the input is unlike the training rows
  run_id TEXT,                      -- the MLflow run of the model
  caller_id TEXT,                   -- X-Request-ID, as the client sent it
  traceparent TEXT,                 -- W3C Trace Context, as the client sent it
  caller TEXT                       -- the name of the API key
);
CREATE INDEX IF NOT EXISTS prediction_asked_at ON prediction (asked_at);
-- what became known later, also of predictions that were archived since
CREATE TABLE IF NOT EXISTS feedback (
  number INTEGER PRIMARY KEY,       -- in the order of arrival
  prediction_id TEXT NOT NULL,      -- of a prediction here or in an archived month
  truth REAL NOT NULL,              -- the true value, in $100,000
  received_at TEXT NOT NULL,        -- when it arrived: UTC, ISO 8601
  observed_at TEXT,                 -- when it was observed, if the sender has said so: the same
  caller TEXT,                      -- the name of the API key
  superseded_at TEXT                -- when a correction arrived; NULL: the value is current
);
CREATE UNIQUE INDEX IF NOT EXISTS feedback_current ON feedback (prediction_id)
  WHERE superseded_at IS NULL;
CREATE INDEX IF NOT EXISTS feedback_superseded ON feedback (prediction_id)
  WHERE superseded_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS feedback_received_at ON feedback (received_at);
