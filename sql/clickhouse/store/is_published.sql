-- One row, 1 or 0: is one generation of a slice published?
SELECT count() > 0
FROM publications
-- include: publications_of_slice
    AND generation = {generation:UInt64}
