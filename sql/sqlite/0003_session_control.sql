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
-- SQLite adds a column by rewriting the schema alone, never the rows.

ALTER TABLE user ADD COLUMN session_epoch INTEGER NOT NULL DEFAULT 0 CHECK (session_epoch >= 0);
ALTER TABLE user ADD COLUMN disabled_at_ms INTEGER CHECK (disabled_at_ms >= 0);
ALTER TABLE session ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0 CHECK (epoch >= 0);
ALTER TABLE session ADD COLUMN last_seen_at_ms INTEGER CHECK (last_seen_at_ms >= 0);
ALTER TABLE session ADD COLUMN ends_at_ms INTEGER CHECK (ends_at_ms >= 0);

CREATE TABLE session_cache (
    id         INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    generation INTEGER NOT NULL CHECK (generation >= 0),
    instance   TEXT NOT NULL CHECK (length(instance) <= 64)
) STRICT;

INSERT INTO session_cache (id, generation, instance) VALUES (1, 0, '');
