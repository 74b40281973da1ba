-- Grain: row of a derived table by day, of some generations. Source: the table that is named. For: what the service keeps of it in memory.
SELECT * EXCEPT customer_id
FROM {table:Identifier}
-- include: resolved_generations
