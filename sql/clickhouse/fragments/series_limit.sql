-- The end of a statement: so many groups of each currency, and so many in all.
LIMIT {each:UInt32} BY currency
LIMIT {limit:UInt32}
