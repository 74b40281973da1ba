-- Publications of a customer from an instant on (inclusive), oldest first. An empty list of accounts or providers accepts all.
SELECT
    -- include: published_columns
-- include: every_publication
WHERE ever.published_at >= {since:DateTime64(6, 'UTC')}
    AND (empty({accounts:Array(String)}) OR has({accounts:Array(String)}, account_id))
    AND (empty({providers:Array(String)}) OR has({providers:Array(String)}, provider))
ORDER BY ever.published_at, generation
LIMIT 1 BY generation
LIMIT {first:UInt32}
