-- Select list: whether retention has removed the rows of the generation.
-- Included by: store/published_generations.sql, store/resolve_as_of.sql, store/restated.sql, store/slice_history.sql.
-- Parameters: customer_id.
generation IN (SELECT generation FROM removed_generations WHERE customer_id = {customer_id:String}) AS is_removed
