-- Select list: the first groups of a cost series in one level; each is a column, or `nothing` for a dimension that is not asked.
{provider:Identifier} AS provider,
{account:Identifier} AS account,
{period:Identifier} AS period
