-- Select list: what a cost series is grouped by first: a column, or `nothing` where it is not asked.
{provider:Identifier} AS provider_group,
{account:Identifier} AS account_group
