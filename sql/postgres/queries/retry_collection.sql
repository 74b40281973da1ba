-- Records that an attempt failed and will be repeated, unless the collection was ended meanwhile.
UPDATE optiinfra.collection_history
SET status = 'retrying',
    error = %(error)s,
    requests = requests + %(requests)s,
    request_cost = request_cost + %(request_cost)s
WHERE id = %(id)s AND ended_at IS NULL
