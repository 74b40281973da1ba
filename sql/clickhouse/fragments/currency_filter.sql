-- Condition: charges in some currencies; an empty list lets all through and folds away.
-- Included by: the statements of queries/ and exports/ over derived tables.
-- Parameters: currencies.
AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
