-- Which rate converts the charges of a customer; no row: that of the day.
SELECT method FROM optiinfra.rate_settings WHERE customer_id = %(customer_id)s
