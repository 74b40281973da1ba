-- Publications of a customer from an instant on (inclusive), oldest first. An empty list of accounts or providers accepts all.
SELECT
    -- include: published_columns
FROM publications
WHERE customer_id = {customer_id:String}
    AND publications.published_at >= {since:DateTime64(6, 'UTC')}
    AND (empty({accounts:Array(String)}) OR has({accounts:Array(String)}, account_id))
    AND (empty({providers:Array(String)}) OR has({providers:Array(String)}, provider))
ORDER BY publications.published_at, generation
LIMIT {first:UInt32}
