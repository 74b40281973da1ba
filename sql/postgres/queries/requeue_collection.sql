-- Queues one slice of a task again that another run had begun with, until the given run begins.
UPDATE optiinfra.collection_history
SET status = 'queued'
WHERE status = 'running' AND run_id <> %(run_id)s AND
    -- include: open_slice_of_task
