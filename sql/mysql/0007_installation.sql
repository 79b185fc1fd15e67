-- Which processes work on this database, and what all of them have to do alike.
--
-- server: who makes ids under which node, a row for each node that was ever taken. It is taken by compare-and-swap of
--   `run` and `renewed_ms`, and free again 10 s after it was renewed last.
-- server.node: datacenter * 32 + machine.
-- server.run: drawn by the process that holds the node, or held it last; zeros when it was given back.
-- server.instance: tells a process that is the same server after a restart.
-- server.serves: 0 for an operator's command.
-- server.renewed_ms: by this database's clock.
-- server.ids_until_ms: no id of this node has a later time. Who takes the node next begins behind it, so no id comes
--   twice, whatever clocks do.
-- server.lease_ms: the longest lease that a front may have from this server.
-- server.revision: of `deployment`, as far as this server goes by it.
-- server.redis: the run of the Redis that its sessions have a copy in, '' for none.
-- server.about: what operators want to know, as text.
--
-- deployment: one row. `settings` has a line `name=value` for each, and `revision` counts its changes.

CREATE TABLE IF NOT EXISTS server (
    node         SMALLINT UNSIGNED NOT NULL,
    run          BINARY(16) NOT NULL,
    instance     BINARY(16) NOT NULL,
    serves       TINYINT UNSIGNED NOT NULL,
    renewed_ms   BIGINT UNSIGNED NOT NULL COMMENT 'since 1970, UTC',
    ids_until_ms BIGINT UNSIGNED NOT NULL COMMENT 'since 1970, UTC',
    lease_ms     INT UNSIGNED NOT NULL,
    revision     BIGINT UNSIGNED NOT NULL,
    host         VARCHAR(255) NOT NULL,
    version      VARCHAR(64) NOT NULL,
    redis        VARCHAR(64) NOT NULL,
    about        VARCHAR(255) NOT NULL,
    PRIMARY KEY (node)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;

CREATE TABLE IF NOT EXISTS deployment (
    id       TINYINT UNSIGNED NOT NULL,
    revision BIGINT UNSIGNED NOT NULL,
    settings VARCHAR(4096) NOT NULL,
    PRIMARY KEY (id)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin ROW_FORMAT = DYNAMIC;

INSERT INTO deployment (id, revision, settings) VALUES (1, 0, '')
ON DUPLICATE KEY UPDATE id = deployment.id;
