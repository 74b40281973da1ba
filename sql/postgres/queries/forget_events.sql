-- Deletes events that are too old to be read.
DELETE FROM optiinfra.collection_events WHERE at < %(before)s
RETURNING id
