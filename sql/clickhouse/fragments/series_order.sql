-- Aliases: what the groups of one currency are ordered by. What is equal is in the order of its values.
-cost_sum AS largest_first,
cost_sum AS smallest_first,
0 AS by_name
