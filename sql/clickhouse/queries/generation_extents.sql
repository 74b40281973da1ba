-- Grain: generation, superseded ones too. Source: publications. For: what restatements may read.
-- A publication repeated by a network retry counts once.
SELECT line_items, first_charge_date, last_charge_date
FROM publications
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
LIMIT 1 BY generation
