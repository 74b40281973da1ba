-- One row, 1 or 0: is anything published?
SELECT count() > 0 FROM publications
