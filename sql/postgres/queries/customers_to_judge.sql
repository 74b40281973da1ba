-- Customers of which something is published since their days were judged, with the number of the newest publication.
SELECT accounts.customer_id, max(slice_state.generation) AS newest
FROM optiinfra.slice_state INNER JOIN optiinfra.accounts USING (account_id)
GROUP BY accounts.customer_id
HAVING max(slice_state.generation) > coalesce(
    (SELECT max(refreshed.generation) FROM optiinfra.anomaly_refreshes AS refreshed WHERE refreshed.customer_id = accounts.customer_id), 0
)
ORDER BY accounts.customer_id
