-- Runs with collections that have not ended.
SELECT DISTINCT run_id FROM optiinfra.collection_history WHERE ended_at IS NULL AND run_id IS NOT NULL ORDER BY run_id
