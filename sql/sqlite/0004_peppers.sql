-- Which peppers password records may be sealed under: so that a server whose keys are not those says so
-- when it starts, instead of failing one user at a time.
--
-- pepper.id: the number that records carry. Never the key itself: keys do not belong in a database.
-- pepper.since_ms: when a server first sealed under it, for the operator, and so that the key before it is
--   not retired while another server may not have noticed yet.
-- pepper.check_value: HMAC-SHA256 of a fixed text under the key, cut to 16 bytes. It tells another key under
--   a known id from the right one, and is of no use to somebody who guesses: the key has 256 random bits.
--
-- A row is made before anything is sealed under its key, and goes when the key is retired, after the last
-- record under it.

CREATE TABLE pepper (
    id          INTEGER PRIMARY KEY NOT NULL CHECK (id BETWEEN 1 AND 65535),
    since_ms    INTEGER NOT NULL CHECK (since_ms >= 0),
    check_value BLOB NOT NULL CHECK (length(check_value) = 16)
) STRICT;
