-- Records how a collection ended; one that has already ended stays unchanged.
UPDATE optiinfra.collection_history
SET status = %(status)s,
    ended_at = now(),
    generation = %(generation)s,
    rows = %(rows)s,
    requests = requests + %(requests)s,
    request_cost = request_cost + %(request_cost)s,
    error = %(error)s,
    warnings = %(warnings)s::jsonb
WHERE id = %(id)s AND ended_at IS NULL
