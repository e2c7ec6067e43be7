-- Who took a snapshot, and by whose word a listener ended: an end that was
-- found by comparing is only known to have come before.
ALTER TABLE snapshot ADD COLUMN source TEXT NOT NULL DEFAULT '';
ALTER TABLE life ADD COLUMN end_source TEXT NOT NULL DEFAULT '';
