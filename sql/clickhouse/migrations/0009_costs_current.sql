-- View. Grain: one line item of the generation that readers see now. For: BI tools and /sql.
-- The newest generation of a slice is its highest number, as in store/resolve.sql.
CREATE VIEW IF NOT EXISTS costs_current
AS SELECT *
FROM raw_costs
WHERE (customer_id, generation) IN (
    SELECT
        customer_id,
        max(generation)
    FROM publications
    GROUP BY
        customer_id,
        account_id,
        billing_period
)
