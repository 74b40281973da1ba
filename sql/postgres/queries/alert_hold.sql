-- Gives a delivery back that was taken in quiet hours, as if nobody had: it is due when they end.
UPDATE optiinfra.alert_deliveries
SET attempts = attempts - 1, first_tried_at = CASE WHEN attempts > 1 THEN first_tried_at END, due_at = %(due_at)s
WHERE delivery_id = %(delivery_id)s
