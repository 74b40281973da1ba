-- Stores a forecast.
INSERT INTO optiinfra.forecasts (
    customer_id, made_at, generation, data_through, published_at, is_simulated, is_by_sub_account, body
)
VALUES (
    %(customer_id)s, %(made_at)s, %(generation)s, %(data_through)s, %(published_at)s, %(is_simulated)s, %(is_by_sub_account)s, %(body)s
)
