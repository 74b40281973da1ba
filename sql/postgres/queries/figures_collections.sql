-- Grain: provider x status. For /metrics: open and ended collections, the requests they made, and what providers charge for these; those
-- that retention removed are in the totals.
SELECT
    provider,
    status,
    sum(collections)::bigint AS collections,
    sum(requests)::bigint AS requests,
    sum(request_cost) AS request_cost
FROM (
    SELECT provider, status, count(*) AS collections, sum(requests) AS requests, sum(request_cost) AS request_cost
    FROM optiinfra.collection_history
    GROUP BY provider, status
    UNION ALL
    SELECT provider, status, collections, requests, request_cost
    FROM optiinfra.collection_totals
) AS counted
GROUP BY provider, status
