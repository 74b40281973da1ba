-- The highest number that any generation was published under, 0 if nothing is published.
SELECT max(generation) FROM publications
