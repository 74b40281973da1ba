-- View. Grain: day x sub account x service x region x charge category x currency, of the generations that readers see now.
-- For: BI tools and /sql. An empty string stands for "none"; *_missing count line items without that price.
CREATE VIEW IF NOT EXISTS costs_daily
AS SELECT *
FROM cost_trends
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
