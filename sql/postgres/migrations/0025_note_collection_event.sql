-- For: the trigger that writes collection_events.
CREATE FUNCTION optiinfra.note_collection_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO optiinfra.collection_events
        (customer_id, task_id, collection_id, provider, account_id, billing_period, trigger, status, attempt, generation, rows, error, run_id)
    VALUES
        (NEW.customer_id, NEW.task_id, NEW.id, NEW.provider, NEW.account_id, NEW.billing_period, NEW.trigger, NEW.status, NEW.attempt,
            NEW.generation, NEW.rows, NEW.error, NEW.run_id);
    RETURN NULL;
END
$$
