-- FROM and WHERE: the publications of a customer, archived ones too, and whether retention has removed their rows. One that is being archived
-- may come twice. A union of both tables and not a look-up in one of them: a row is in the archive for an hour before it leaves the other.
FROM
(
    SELECT *, generation IN (SELECT generation FROM removed_generations WHERE customer_id = {customer_id:String}) AS is_removed
    FROM publications WHERE customer_id = {customer_id:String}
    UNION ALL
    SELECT * EXCEPT archived_at, true AS is_removed FROM archived_publications WHERE customer_id = {customer_id:String}
) AS ever
