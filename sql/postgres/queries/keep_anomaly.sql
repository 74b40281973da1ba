-- Stores an anomaly as it is since an instant.
INSERT INTO optiinfra.anomaly_versions (
    customer_id, anomaly_id, made_at, found_at, provider, account_id, service_name, currency, kind, first_day, last_day, cost, expected,
    excess, projected, score, folded_into, is_gone, is_simulated, days, causes
)
VALUES (
    %(customer_id)s, %(anomaly_id)s, %(made_at)s, %(found_at)s, %(provider)s, %(account_id)s, %(service_name)s, %(currency)s, %(kind)s,
    %(first_day)s, %(last_day)s, %(cost)s, %(expected)s, %(excess)s, %(projected)s, %(score)s, %(folded_into)s, %(is_gone)s,
    %(is_simulated)s, %(days)s, %(causes)s
)
ON CONFLICT (customer_id, anomaly_id, made_at) DO UPDATE SET
    kind = excluded.kind,
    first_day = excluded.first_day,
    last_day = excluded.last_day,
    cost = excluded.cost,
    expected = excluded.expected,
    excess = excluded.excess,
    projected = excluded.projected,
    score = excluded.score,
    folded_into = excluded.folded_into,
    is_gone = excluded.is_gone,
    is_simulated = excluded.is_simulated,
    days = excluded.days,
    causes = excluded.causes
