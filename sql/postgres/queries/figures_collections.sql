-- Grain: provider x status. For /metrics: open and ended collections, the requests they made, and what providers charge for these.
SELECT
    provider,
    status,
    count(*) AS collections,
    sum(requests) AS requests,
    sum(request_cost) AS request_cost
FROM optiinfra.collection_history
GROUP BY provider, status
