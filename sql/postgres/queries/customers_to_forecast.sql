-- Customers of which something is published that their newest forecast does not know, with the number of the newest publication.
SELECT known.customer_id, known.newest
FROM (
    SELECT accounts.customer_id, max(slice_state.generation) AS newest
    FROM optiinfra.slice_state INNER JOIN optiinfra.accounts USING (account_id)
    GROUP BY accounts.customer_id
) AS known
WHERE known.newest > coalesce(
    (SELECT max(generation) FROM optiinfra.forecasts WHERE forecasts.customer_id = known.customer_id), 0
)
ORDER BY known.customer_id
