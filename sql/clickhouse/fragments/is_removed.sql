-- Select list: whether retention has removed the rows of the generation.
generation IN (SELECT generation FROM removed_generations WHERE customer_id = {customer_id:String}) AS is_removed
