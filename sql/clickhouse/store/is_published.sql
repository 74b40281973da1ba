-- One row, 1 or 0: whether one generation of a slice is published.
SELECT count() > 0
FROM publications
-- include: publications_of_slice
    AND generation = {generation:UInt64}
