#!/usr/bin/env bash
# Measures logins while a million expired sessions are purged.
#
#   perf/run_purge.sh [--store sqlite|mysql] [--rows N] [--duration SECONDS] [--connections N]
#
# Builds the release binaries and starts a private system (own data, own ports, default settings, so
# default argon2). Logins run over --connections (4) for --duration seconds (20): once without expired
# sessions, once while --rows (1,000,000) of them are purged. Then it waits until none is left.
#
# A server purges nothing in its first hour (docs/clocks.md), so this takes an hour and some minutes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=perf/system.sh
source perf/system.sh

readonly USERS=32 SESSIONS_EACH=50 PURGE_SECONDS_MAX=1200 PURGE_BEGINS_SECONDS=3660

store=sqlite rows=1000000 duration=20 connections=4

main() {
    while (($# > 0)); do
        [[ $# -ge 2 ]] || usage
        case $1 in
        --store) store=$2 ;;
        --rows) rows=$2 ;;
        --duration) duration=$2 ;;
        --connections) connections=$2 ;;
        *) usage ;;
        esac
        shift 2
    done
    need_package wrk wrk
    need_package curl curl
    need_package python3 python3
    [[ $store != mysql ]] || need_package mariadb mariadb-client-core

    scratch=$(mktemp -d)
    trap 'stop_system; rm -rf "$scratch"' EXIT
    trap 'exit 1' INT TERM HUP
    start_system "$scratch" "$store"
    register_users "$USERS"
    export USERS TOKENS_FILE=/dev/null

    echo "$(provenance), store $store, $rows expired sessions, $duration s a row"
    echo
    row Logins Requests/s 'p50 ms' 'p99 ms' 'max ms' Errors
    row --- ---: ---: ---: ---: ---:
    # Measured in the state that the other row is measured in.
    sleep "$PURGE_BEGINS_SECONDS"
    measure alone
    insert_expired
    local began=$SECONDS before left
    before=$(expired)
    until left=$(expired) && ((left < before)); do sleep 0.2; done
    began=$SECONDS
    measure 'while purging'
    left=$(expired)
    ((left > 0)) || echo "the purge was over before the logins; use more --rows" >&2
    until (($(expired) == 0)); do
        ((SECONDS - began < PURGE_SECONDS_MAX)) || { echo "the purge does not end" >&2; return 1; }
        sleep 1
    done
    echo
    echo "purged in $((SECONDS - began)) s; $left were left when the logins had ended"
}

measure() {
    local out requests us p50 p99 max errors
    out=$(cd perf/wrk && RUN=purge wrk --threads 1 --connections "$connections" \
        --duration "${duration}s" --timeout 10s --script authenticate.lua "$BASE")
    read -r _ requests us p50 _ p99 max errors < <(grep '^RESULT ' <<<"$out") ||
        { echo "wrk did not end as expected: $out" >&2; return 1; }
    row "$1" "$((requests * 1000000 / us))" "$(ms "$p50")" "$(ms "$p99")" "$(ms "$max")" "$errors"
}

# Rows as a server writes them, of sessions that ended long ago, of users who were many: no user has more
# sessions than the cap lets.
insert_expired() {
    local owners=$(((rows + SESSIONS_EACH - 1) / SESSIONS_EACH))
    if [[ $store == mysql ]]; then
        sql "INSERT INTO user (id, username, password_record, created_at_ms)
             SELECT seq, CONCAT('gone-', seq), '-', 1 FROM seq_1_to_$owners"
        sql "INSERT INTO session (token_digest, id, user_id, created_at_ms, last_seen_at_ms,
                                  expires_at_ms, ends_at_ms, client_address, user_agent)
             SELECT UNHEX(SHA2(seq, 256)), seq, 1 + seq % $owners, 1, 1, 1 + seq, 1 + seq,
                    '192.0.2.1', 'Mozilla/5.0' FROM seq_1_to_$rows"
    else
        sql "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT $owners)
             INSERT INTO user (id, username, password_record, created_at_ms)
             SELECT n, 'gone-' || n, '-', 1 FROM number"
        sql "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT $rows)
             INSERT INTO session (token_digest, id, user_id, created_at_ms, last_seen_at_ms,
                                  expires_at_ms, ends_at_ms, client_address, user_agent)
             SELECT randomblob(32), n, 1 + n % $owners, 1, 1, 1 + n, 1 + n,
                    '192.0.2.1', 'Mozilla/5.0' FROM number"
    fi
}

expired() {
    sql "SELECT COUNT(*) FROM session WHERE expires_at_ms <= 2 + $rows"
}

# sql STATEMENT: prints the first column of the first row, if any.
sql() {
    if [[ $store == mysql ]]; then
        local port=${MARIADB_URL##*:}
        mariadb --no-defaults --host=127.0.0.1 --port="$port" --user=root --batch \
            --skip-column-names gatehouse --execute "$1"
    else
        python3 - "$scratch/data/users.sqlite" "$1" <<'PYTHON'
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=60)
row = connection.execute(sys.argv[2]).fetchone()
connection.commit()
if sys.argv[2].startswith("WITH"):
    # Or the next commit of the server would carry a gigabyte of log into the file.
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
if row:
    print(row[0])
PYTHON
    fi
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

main "$@"
