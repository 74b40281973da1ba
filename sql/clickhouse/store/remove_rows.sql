-- Rewrite the parts of one partition of one table without the rows of some generations; this frees their space.
ALTER TABLE {table:Identifier} DELETE IN PARTITION ID {partition:String}
-- include: generations
