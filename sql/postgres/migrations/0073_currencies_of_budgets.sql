-- A budget counts charges in all currencies, converted to its own. Budgets of before counted those alone that were billed in it: they get
-- a filter that says so, and stay as they were. The history stays as it was written. rates_by_storage: rules on budgets ask when a rate
-- was stored last.
DO $$
BEGIN
    UPDATE optiinfra.budgets
    SET definition = jsonb_set(definition, '{filters}', (
        SELECT jsonb_agg(one.value || jsonb_build_object('currency', jsonb_build_array(definition -> 'currency')) ORDER BY one.ordinality)
        FROM jsonb_array_elements(
            CASE WHEN jsonb_array_length(definition -> 'filters') > 0 THEN definition -> 'filters' ELSE '[{}]' END
        ) WITH ORDINALITY AS one
    ))
    WHERE jsonb_typeof(definition -> 'filters') = 'array' AND jsonb_typeof(definition -> 'currency') = 'string';
    CREATE INDEX rates_by_storage ON optiinfra.rates (stored_at);
END
$$
