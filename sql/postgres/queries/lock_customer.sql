-- Waits for whoever else changes what is counted of a customer, until the end of the transaction. No row: there is no such customer.
SELECT customer_id FROM optiinfra.customers WHERE customer_id = %(customer_id)s FOR UPDATE
