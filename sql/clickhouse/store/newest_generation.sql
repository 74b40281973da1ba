-- The highest number of a published generation, 0 if nothing is published.
SELECT max(generation) FROM publications
