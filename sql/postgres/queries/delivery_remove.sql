-- Removes a delivery. Returns no row if there is none.
DELETE FROM optiinfra.deliveries WHERE delivery_id = %(delivery_id)s RETURNING delivery_id
