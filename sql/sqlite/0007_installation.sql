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

CREATE TABLE server (
    node         INTEGER PRIMARY KEY NOT NULL CHECK (node BETWEEN 0 AND 1023),
    run          BLOB NOT NULL CHECK (length(run) = 16),
    instance     BLOB NOT NULL CHECK (length(instance) = 16),
    serves       INTEGER NOT NULL CHECK (serves IN (0, 1)),
    renewed_ms   INTEGER NOT NULL CHECK (renewed_ms >= 0),
    ids_until_ms INTEGER NOT NULL CHECK (ids_until_ms >= 0),
    lease_ms     INTEGER NOT NULL CHECK (lease_ms >= 0),
    revision     INTEGER NOT NULL CHECK (revision >= 0),
    host         TEXT NOT NULL CHECK (length(host) <= 255),
    version      TEXT NOT NULL CHECK (length(version) <= 64),
    redis        TEXT NOT NULL CHECK (length(redis) <= 64),
    about        TEXT NOT NULL CHECK (length(about) <= 255)
) STRICT;

CREATE TABLE deployment (
    id       INTEGER PRIMARY KEY NOT NULL CHECK (id = 1),
    revision INTEGER NOT NULL CHECK (revision >= 0),
    settings TEXT NOT NULL CHECK (length(settings) <= 4096)
) STRICT;

INSERT INTO deployment (id, revision, settings) VALUES (1, 0, '');
