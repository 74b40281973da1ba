-- Publications of one slice, newest first, with when each was superseded (null: it is what readers see) and whether retention removed its rows.
-- before: only generations below it; 0: from the newest.
SELECT *
FROM
(
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
        run_id,
        leadInFrame(toNullable(published_at)) OVER (
            ORDER BY published_at, generation ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING
        ) AS superseded_at,
        generation IN (SELECT generation FROM removed_generations WHERE customer_id = {customer_id:String}) AS is_removed
    FROM publications
    WHERE customer_id = {customer_id:String}
        AND provider = {provider:String}
        AND account_id = {account_id:String}
        AND billing_period = {billing_period:Date}
)
WHERE {before:UInt64} = 0 OR generation < {before:UInt64}
ORDER BY published_at DESC, generation DESC
LIMIT {first:UInt32}
