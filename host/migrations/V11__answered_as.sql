-- What was asked, as it was answered: where the grant made it narrower.
ALTER TABLE host_calls ADD COLUMN answered_as TEXT;
