-- How many publications a customer has, and the sum of their numbers. Each has another number, so that both are unchanged only if nothing
-- newer is published, even where old ones were removed.
SELECT count() AS publications, sum(generation) AS numbers FROM publications WHERE customer_id = {customer_id:String}
