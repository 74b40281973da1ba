-- One row, 1 or 0: whether anything is published.
SELECT count() > 0 FROM publications
