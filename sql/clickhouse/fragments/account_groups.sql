-- Select list: what a cost series is grouped by first: a column, or `nothing` where it is not asked.
-- Included by: queries/cost_series_by_*.sql.
-- Parameters: provider, account.
{provider:Identifier} AS provider_group,
{account:Identifier} AS account_group
