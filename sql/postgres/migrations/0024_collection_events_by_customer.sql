-- For: events of a customer after a cursor.
CREATE INDEX collection_events_by_customer ON optiinfra.collection_events (customer_id, xid, id)
