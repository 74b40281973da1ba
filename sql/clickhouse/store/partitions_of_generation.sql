-- Grain: table x partition that has rows of one generation; none if it has no rows. Source: the tables whose names match.
SELECT DISTINCT _table AS table, _partition_id AS partition
FROM merge(currentDatabase(), {tables:String})
-- include: one_generation
