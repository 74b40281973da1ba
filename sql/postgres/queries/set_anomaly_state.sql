-- Stores what a person says of an anomaly.
INSERT INTO optiinfra.anomaly_states (
    customer_id, anomaly_id, set_at, state, until_day, up_to, note, author, author_name, from_day
)
VALUES (
    %(customer_id)s, %(anomaly_id)s, %(set_at)s, %(state)s, %(until_day)s, %(up_to)s, %(note)s, %(author)s, %(author_name)s, %(from_day)s
)
ON CONFLICT (customer_id, anomaly_id, set_at) DO UPDATE SET
    state = excluded.state, until_day = excluded.until_day, up_to = excluded.up_to, note = excluded.note, author = excluded.author,
    author_name = excluded.author_name, from_day = excluded.from_day
