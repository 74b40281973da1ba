-- Grain: generation, superseded ones too. Source: publications. For: the estimate of what restatements will read.
-- A publication repeated by a network retry counts once.
SELECT line_items, first_charge_date, last_charge_date
FROM publications
-- include: resolved_generations
LIMIT 1 BY generation
