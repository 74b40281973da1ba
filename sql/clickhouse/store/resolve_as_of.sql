-- The publication of every slice of a customer that was the newest at an instant (inclusive), and whether retention has removed it.
SELECT
    provider,
    account_id,
    billing_period,
    generation,
    published_at,
    line_items,
    first_charge_date,
    last_charge_date,
    data_through,
    is_final,
    is_simulated,
    generation IN (SELECT generation FROM removed_generations WHERE customer_id = {customer_id:String}) AS is_removed
FROM publications
WHERE customer_id = {customer_id:String}
    AND publications.published_at <= {as_of:DateTime64(6, 'UTC')}
ORDER BY account_id, billing_period, publications.published_at DESC, generation DESC
LIMIT 1 BY account_id, billing_period
