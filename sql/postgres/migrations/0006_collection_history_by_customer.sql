-- For: history of a customer, newest first, in pages.
CREATE INDEX collection_history_by_customer ON optiinfra.collection_history (customer_id, id DESC)
