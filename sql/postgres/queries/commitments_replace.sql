-- Makes the commitments of an account those that its source states now. Returns the ids of those that are new, changed or gone.
WITH stated AS (
    SELECT commitment_id, content
    FROM jsonb_to_recordset(%(commitments)s) AS one (commitment_id text, content jsonb)
),

gone AS (
    DELETE FROM optiinfra.commitments
    WHERE account_id = %(account_id)s AND commitment_id NOT IN (SELECT commitment_id FROM stated)
    RETURNING commitment_id
),

changed AS (
    INSERT INTO optiinfra.commitments AS old (account_id, commitment_id, customer_id, content, stated_at)
    SELECT %(account_id)s, commitment_id, %(customer_id)s, content, %(now)s
    FROM stated
    ON CONFLICT (account_id, commitment_id) DO UPDATE
    SET content = excluded.content, stated_at = excluded.stated_at
    WHERE old.content <> excluded.content
    RETURNING commitment_id
)

SELECT commitment_id FROM gone
UNION ALL
SELECT commitment_id FROM changed
