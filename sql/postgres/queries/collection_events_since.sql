-- The first event of a customer from an instant on, in the order in which events became visible.
SELECT xid::text::bigint AS xid, id
FROM optiinfra.collection_events
WHERE customer_id = %(customer_id)s AND at >= %(since)s
ORDER BY collection_events.xid, id
LIMIT 1
