-- Grain: table x partition that has rows of some generations; none if they have no rows. Source: the tables whose names match.
SELECT DISTINCT _table AS table, _partition_id AS partition
FROM merge(currentDatabase(), {tables:String})
-- include: generations
