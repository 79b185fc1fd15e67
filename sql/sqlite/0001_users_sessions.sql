-- Users and their sessions.
--
-- Why `user` is keyed by id and has a unique index on username:
--   An INTEGER PRIMARY KEY is SQLite's rowid: the table is one B-tree in id order. Ids grow with time, so
--   a registration appends to it, and only a narrow entry (name and id) goes to a random place in the
--   index. The login lookup `WHERE username = ?` is two descents. Keying the table by the name
--   (WITHOUT ROWID) would save one of them and put every wide row in a random page instead; the MySQL
--   file of the same number weighs the layouts at length.
--
-- The unique index also decides who owns a name. Nothing checks first and inserts later.
--
-- STRICT makes SQLite check types; the CHECKs hold what the column types hold in MySQL. Text compares by
-- bytes, which is SQLite's default collation.
--
-- The file runs in one transaction together with its entry in schema_migration.

CREATE TABLE user (
    id                      INTEGER PRIMARY KEY NOT NULL CHECK (id >= 0), -- Snowflake; grows with time
    username                TEXT NOT NULL CHECK (length(username) <= 32),
    -- argon2id tag sealed under the pepper, self-describing
    password_record         TEXT NOT NULL CHECK (length(password_record) <= 255),
    name                    TEXT CHECK (length(name) <= 255),
    age                     INTEGER CHECK (age BETWEEN 0 AND 255),
    -- tells a repeated register from a taken name
    registration_request_id BLOB CHECK (length(registration_request_id) = 16),
    created_at_ms           INTEGER NOT NULL CHECK (created_at_ms >= 0) -- since 1970, UTC
) STRICT;

CREATE UNIQUE INDEX user_username ON user (username);

-- Why `session` is clustered by the digest of its token (WITHOUT ROWID): the check of a token is the
-- hottest read there is, and this makes it one descent. Rows are narrow and short-lived, so random
-- inserts cost little here.
CREATE TABLE session (
    -- SHA-256 of the random part of the token
    token_digest   BLOB PRIMARY KEY NOT NULL CHECK (length(token_digest) = 32),
    id             INTEGER NOT NULL CHECK (id >= 0), -- Snowflake; may be shown, unlike the token
    user_id        INTEGER NOT NULL REFERENCES user (id) ON DELETE CASCADE,
    created_at_ms  INTEGER NOT NULL CHECK (created_at_ms >= 0),
    expires_at_ms  INTEGER NOT NULL CHECK (expires_at_ms >= 0), -- first millisecond at which it is dead
    client_address TEXT CHECK (length(client_address) <= 45),
    user_agent     TEXT CHECK (length(user_agent) <= 255)
) STRICT, WITHOUT ROWID;

-- The purge takes the oldest few rows at a time.
CREATE INDEX session_expiry ON session (expires_at_ms);

-- "All sessions of this user, oldest first", and the foreign key.
CREATE INDEX session_user ON session (user_id, id);
