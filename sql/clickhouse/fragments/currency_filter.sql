-- Condition: charges in some currencies; an empty list lets all through and folds away.
AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
