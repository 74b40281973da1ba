-- The newest publication of one slice, whole; no row if it was never published.
SELECT
    customer_id,
    provider,
    account_id,
    billing_period,
    generation,
    published_at,
    line_items,
    currencies,
    billed_cost,
    effective_cost,
    list_cost,
    contracted_cost,
    first_charge_date,
    last_charge_date,
    content_hash,
    change_token,
    sources,
    rounded_values,
    rounded_total,
    data_through,
    is_final,
    is_simulated,
    run_id
FROM publications
WHERE customer_id = {customer_id:String}
    AND provider = {provider:String}
    AND account_id = {account_id:String}
    AND billing_period = {billing_period:Date}
ORDER BY published_at DESC, generation DESC
LIMIT 1
