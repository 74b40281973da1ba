-- Deletes some collections that ended before an instant, the oldest first, and adds them to the totals.
WITH gone AS (
    DELETE FROM optiinfra.collection_history
    WHERE id IN (
        SELECT id FROM optiinfra.collection_history WHERE ended_at < %(before)s ORDER BY ended_at LIMIT %(most)s
    )
    RETURNING provider, status, requests, request_cost
), added AS (
    INSERT INTO optiinfra.collection_totals AS known (provider, status, collections, requests, request_cost)
    SELECT provider, status, count(*), sum(requests), sum(request_cost) FROM gone GROUP BY provider, status
    ON CONFLICT (provider, status) DO UPDATE
    SET collections = known.collections + excluded.collections,
        requests = known.requests + excluded.requests,
        request_cost = known.request_cost + excluded.request_cost
)
SELECT provider FROM gone
