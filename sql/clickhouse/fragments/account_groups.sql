-- Select list: the first groups of a cost series; each is a column, or `nothing` for a dimension that is not asked.
{provider:Identifier} AS provider_group,
{account:Identifier} AS account_group
