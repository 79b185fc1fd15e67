-- Users and their sessions.
--
-- Why `user` is clustered by id and has a unique index on username:
--   The login lookup is `WHERE username = ?`. InnoDB stores a row inside its primary key, so three
--   layouts can serve it.
--   A. PRIMARY KEY (id), UNIQUE (username): two descents, username -> id -> row.           <- chosen
--   B. PRIMARY KEY (username), UNIQUE (id): one descent. But names arrive in random order, so each
--      registration lands in a random page of wide rows: pages split and stay half empty, and every
--      reference to a user carries the name instead of eight bytes.
--   C. as A, and an index (username, password_record) that covers the lookup: one descent, but each
--      record is stored twice and each rehash writes two trees.
--   Ids grow with time, so in A a registration appends to the clustered tree, and only a narrow entry
--   (name and id) goes to a random place, in a tree small enough to stay in memory.
--
--   Measured on MariaDB 10.11, two cores of an AMD EPYC, data on a memory file system, with 400,000 users
--   and records of 200 bytes, inserted in id order through a 64 MB buffer pool. Lookups of scattered
--   names in a stored procedure, less the cost of its loop, best of three:
--                                            A         B         C
--      inserting all                       6.8 s    15.3 s    17.0 s
--      clustered tree, other indexes   112+19 MB 161+11 MB 112+157 MB
--      lookup, everything in memory        24 us     21 us     45 us
--      lookup, 64 MB of buffer pool        42 us     43 us     82 us
--   B saves three microseconds of a login that hashes for some twenty milliseconds, and pays with inserts
--   that take twice as long and a third more memory.
--
-- The unique index also decides who owns a name. Nothing checks first and inserts later.
--
-- Text that is compared has a binary collation: names are folded before they get here, so bytes decide,
-- and ascii keeps an index entry at one byte a character.
--
-- Each statement can be repeated: DDL commits by itself in MySQL, so after a crash in the middle the
-- file is run again from the top.

CREATE TABLE IF NOT EXISTS user (
    id                      BIGINT UNSIGNED NOT NULL COMMENT 'Snowflake; grows with time',
    username                VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_record         VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
                            COMMENT 'argon2id tag sealed under the pepper, self-describing',
    name                    VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    age                     TINYINT UNSIGNED NULL,
    registration_request_id BINARY(16) NULL COMMENT 'tells a repeated register from a taken name',
    created_at_ms           BIGINT UNSIGNED NOT NULL COMMENT 'since 1970, UTC',
    PRIMARY KEY (id),
    UNIQUE KEY user_username (username)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;

-- Why `session` is clustered by the digest of its token: the check of a token is the hottest read there
-- is, and this makes it one descent. The digest is random, so inserts spread over the tree; rows are
-- narrow and short-lived, so the tree stays small, which is what made the same choice wrong for users.
--
-- session_expiry serves the purge, which takes the oldest few rows at a time.
-- session_user serves "all sessions of this user, oldest first" and the foreign key.
CREATE TABLE IF NOT EXISTS session (
    token_digest   BINARY(32) NOT NULL COMMENT 'SHA-256 of the random part of the token',
    id             BIGINT UNSIGNED NOT NULL COMMENT 'Snowflake; may be shown, unlike the token',
    user_id        BIGINT UNSIGNED NOT NULL,
    created_at_ms  BIGINT UNSIGNED NOT NULL,
    expires_at_ms  BIGINT UNSIGNED NOT NULL COMMENT 'first millisecond at which it is dead',
    client_address VARCHAR(45) CHARACTER SET ascii COLLATE ascii_bin NULL,
    user_agent     VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL,
    PRIMARY KEY (token_digest),
    KEY session_expiry (expires_at_ms),
    KEY session_user (user_id, id),
    CONSTRAINT session_of_user FOREIGN KEY (user_id) REFERENCES user (id) ON DELETE CASCADE
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;
