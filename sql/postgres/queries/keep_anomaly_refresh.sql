-- Stores that the days of a customer were judged.
INSERT INTO optiinfra.anomaly_refreshes (customer_id, made_at, generation, data_through, published_at, is_simulated)
VALUES (%(customer_id)s, %(made_at)s, %(generation)s, %(data_through)s, %(published_at)s, %(is_simulated)s)
ON CONFLICT (customer_id, made_at) DO UPDATE SET generation = excluded.generation, data_through = excluded.data_through
