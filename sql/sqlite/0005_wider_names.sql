-- Room for longer names, and who may still run on a schema.
--
-- user.username: 254 bytes, the longest address of mail (RFC 5321, section 4.5.3.1.3, less its brackets).
--   The limit is a CHECK, which SQLite cannot alter. To copy the table would mean to drop the old one, and
--   its sessions with it (ON DELETE CASCADE), so the text of the schema is changed: the documented way for a
--   change that no stored row depends on (sqlite.org/lang_altertable.html, section 8). It takes no
--   time, however many users there are. RESET makes this connection read the text again; others do so
--   because the next statement changes the schema's cookie.
--
-- schema_migration.oldest: the oldest schema whose servers may run on the database after this migration.
--   NULL in rows that older programs wrote: none but their own version's.

PRAGMA writable_schema = ON;
UPDATE sqlite_schema
    SET sql = replace(sql, 'CHECK (length(username) <= 32)', 'CHECK (length(CAST(username AS BLOB)) <= 254)')
    WHERE type = 'table' AND name = 'user';
PRAGMA writable_schema = RESET;
ALTER TABLE schema_migration ADD COLUMN oldest INTEGER CHECK (oldest >= 1);
