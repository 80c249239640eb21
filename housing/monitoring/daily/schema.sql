-- everything here can be counted again from the log
CREATE TABLE counted_day (            -- what a day was when it was counted
  day TEXT,                           -- ISO, UTC
  kind TEXT,                          -- quantities.RowKind: predictions or labelled
  fingerprint TEXT NOT NULL,          -- of the rows; another one: the day has changed
  archives TEXT,                      -- of a day that lacks rows: the months that were there
  PRIMARY KEY (day, kind)
) WITHOUT ROWID;
CREATE TABLE counted_version (        -- whose rows were counted by their values
  day TEXT, kind TEXT, model_name TEXT, model_version TEXT,
  reference TEXT,                     -- the digest of what they were counted by; NULL: there was none
  PRIMARY KEY (day, kind, model_name, model_version)
) WITHOUT ROWID;
CREATE TABLE histogram (
  day TEXT, kind TEXT, model_name TEXT, model_version TEXT,
  quantity TEXT, dimension TEXT, group_name TEXT,
  counts BLOB NOT NULL,               -- float64, a number for each value
  moments BLOB,                       -- float64: rows, sum, sum of squares
  PRIMARY KEY (day, kind, model_name, model_version, quantity, dimension, group_name)
) WITHOUT ROWID;
-- model_name and model_version are empty in the rows of refused requests
CREATE TABLE request (
  day TEXT, model_name TEXT, model_version TEXT, caller TEXT, status INTEGER,
  row_count INTEGER NOT NULL,
  sampled_count INTEGER NOT NULL,     -- that were counted by their values
  PRIMARY KEY (day, model_name, model_version, caller, status)
) WITHOUT ROWID;
CREATE TABLE refusal (
  day TEXT, caller TEXT, problem TEXT,
  row_count INTEGER NOT NULL,
  PRIMARY KEY (day, caller, problem)
) WITHOUT ROWID;
CREATE TABLE latency (
  day TEXT, model_name TEXT, model_version TEXT,
  upper_ms REAL,                      -- the upper end of a class
  row_count INTEGER NOT NULL,
  PRIMARY KEY (day, model_name, model_version, upper_ms)
) WITHOUT ROWID;
CREATE TABLE cell (
  day TEXT, model_name TEXT, model_version TEXT,
  latitude REAL, longitude REAL,      -- the middle of a cell of a quarter degree
  row_count INTEGER NOT NULL,         -- of the sample
  PRIMARY KEY (day, model_name, model_version, latitude, longitude)
) WITHOUT ROWID;
CREATE TABLE sample (
  day TEXT, model_name TEXT, model_version TEXT,
  numbers BLOB NOT NULL,              -- float64: rows of the features and the prediction, at random
  PRIMARY KEY (day, model_name, model_version)
) WITHOUT ROWID;
