-- The newest publication of one slice, with all columns; no row if the slice was never published.
SELECT
    -- include: publication_columns
FROM publications
-- include: publications_of_slice
ORDER BY generation DESC
LIMIT 1
