-- Room for longer names, and who may still run on a schema.
--
-- user.username: 254 bytes, the longest address of mail (RFC 5321, section 4.5.3.1.3, less its brackets). Names
--   are folded before they get here, so bytes decide, and a column of bytes says so: it never takes one
--   character for another, whatever a server's collations are.
--   This copies the table once, and later releases need not do it again. Lookups go on meanwhile, and logins
--   with them; registrations and password changes wait. docs/upgrade.md says how long that takes.
--
-- schema_migration.oldest: the oldest schema whose servers may run on the database after this migration.
--   NULL in rows that older programs wrote: none but their own version's.
--
-- Each of these can be repeated after a crash: a column that has its type already is left alone, and one
-- that is there already is passed over.

ALTER TABLE user MODIFY COLUMN username VARBINARY(254) NOT NULL;
ALTER TABLE schema_migration ADD COLUMN oldest INT UNSIGNED NULL;
