-- Select list: the first columns of a cost series.
-- Included by: queries/cost_series_by_*.sql. Parameters: none.
provider_group AS provider,
account_group AS account
