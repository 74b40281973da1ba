-- Records which run will collect one slice of a task.
UPDATE optiinfra.collection_history
SET run_id = %(run_id)s
WHERE
    -- include: open_slice_of_task
