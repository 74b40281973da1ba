-- When the newest publication of each customer was published. For: whether anything can have been restated since an instant.
SELECT customer_id, max(published_at) AS newest FROM publications GROUP BY customer_id
