-- One event for each row that is queued, and for each change of its status or attempt.
CREATE TRIGGER note_event AFTER INSERT OR UPDATE OF status, attempt ON optiinfra.collection_history
FOR EACH ROW EXECUTE FUNCTION optiinfra.note_collection_event()
