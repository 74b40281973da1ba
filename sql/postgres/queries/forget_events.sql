-- Events nobody will ask for any more.
DELETE FROM optiinfra.collection_events WHERE at < %(before)s
RETURNING id
