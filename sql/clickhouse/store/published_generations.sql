-- Every publication of every slice of a customer, oldest first in each slice, and whether retention has removed it.
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
ORDER BY account_id, billing_period, publications.published_at, generation
