-- Which token keys sessions may be signed under: so that a server whose keys are not those says so when it starts,
-- instead of calling other servers' sessions forged.
--
-- token_key.id: the number that tokens carry. Never the key itself.
-- token_key.since_ms: when a server first signed under it. The key before it was replaced then.
-- token_key.check_value: as that of `pepper`, over another text.
--
-- A row is made before anything is signed under its key, and goes when the key is retired.

CREATE TABLE token_key (
    id          INTEGER PRIMARY KEY NOT NULL CHECK (id BETWEEN 1 AND 65535),
    since_ms    INTEGER NOT NULL CHECK (since_ms >= 0),
    check_value BLOB NOT NULL CHECK (length(check_value) = 16)
) STRICT;
