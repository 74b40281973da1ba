-- Adds a delivery, or gives the one of that id other settings.
INSERT INTO optiinfra.deliveries (delivery_id, customer_id, settings)
VALUES (%(delivery_id)s, %(customer_id)s, %(settings)s)
ON CONFLICT (delivery_id) DO UPDATE
SET settings = excluded.settings
RETURNING delivery_id
