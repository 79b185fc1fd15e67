-- Which token keys sessions may be signed under: so that a server whose keys are not those says so when it starts,
-- instead of calling other servers' sessions forged.
--
-- token_key.id: the number that tokens carry. Never the key itself.
-- token_key.since_ms: when a server first signed under it. The key before it was replaced then.
-- token_key.check_value: as that of `pepper`, over another text.
--
-- A row is made before anything is signed under its key, and goes when the key is retired.

CREATE TABLE IF NOT EXISTS token_key (
    id          SMALLINT UNSIGNED NOT NULL,
    since_ms    BIGINT UNSIGNED NOT NULL COMMENT 'since 1970, UTC',
    check_value BINARY(16) NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;
