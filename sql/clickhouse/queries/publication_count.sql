-- How many publications a customer has had. The count grows with each, so an unchanged count means that nothing newer is published.
SELECT count() AS publications FROM publications WHERE customer_id = {customer_id:String}
