-- What it takes to end sessions and to keep users out.
--
-- user.session_epoch: every session carries the epoch in which it was made, and is dead when its user's is
--   higher. Ending all sessions of a user, however many, is one write to one row, and it also ends a
--   session that is being made at that moment by somebody who read the user's row before.
-- user.disabled_at_ms: an operator's switch. Sessions of a disabled user are dead while it is set.
--
-- session.expires_at_ms stays what the purge and every lookup go by; from now on it is the earlier of two
--   ends. last_seen_at_ms says since when a session idles, ends_at_ms when it ends however busy it is.
--   NULL in a row that an older server wrote: it was last seen when it was made, and ends when it expires.
--
-- session_cache: one row that says which contents of a cache of sessions beside this database may be
--   believed; see auth_back/src/sessions.
--
-- A column with a default is added without rewriting the table (MySQL 8.0.12, MariaDB 10.3), and lets an
-- older server go on inserting. ADD COLUMN knows no IF NOT EXISTS in MySQL, so each stands alone and one
-- that is there already is passed over when the file is run again after a crash.

ALTER TABLE user ADD COLUMN session_epoch INT UNSIGNED NOT NULL DEFAULT 0;
ALTER TABLE user ADD COLUMN disabled_at_ms BIGINT UNSIGNED NULL COMMENT 'since 1970, UTC';
ALTER TABLE session ADD COLUMN epoch INT UNSIGNED NOT NULL DEFAULT 0;
ALTER TABLE session ADD COLUMN last_seen_at_ms BIGINT UNSIGNED NULL COMMENT 'since 1970, UTC';
ALTER TABLE session ADD COLUMN ends_at_ms BIGINT UNSIGNED NULL COMMENT 'since 1970, UTC';

CREATE TABLE IF NOT EXISTS session_cache (
    id         TINYINT UNSIGNED NOT NULL,
    generation BIGINT UNSIGNED NOT NULL,
    instance   VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL
               COMMENT 'the run of the cache server that this generation was begun with',
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;

INSERT INTO session_cache (id, generation, instance) VALUES (1, 0, '')
ON DUPLICATE KEY UPDATE id = session_cache.id;
