-- For: closing what a dead run left open.
CREATE INDEX collection_history_by_run ON optiinfra.collection_history (run_id)
