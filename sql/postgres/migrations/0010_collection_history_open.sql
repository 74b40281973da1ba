-- For: rows of runs that may have died.
CREATE INDEX collection_history_open ON optiinfra.collection_history (run_id) WHERE ended_at IS NULL
