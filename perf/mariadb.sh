# shellcheck shell=bash
# A private, throw-away MariaDB. To be sourced.
#
#   start_mariadb DIRECTORY   starts one with everything under DIRECTORY, and in it an empty database
#                             `gatehouse`; sets MARIADB_URL and MARIADB_PID
#   stop_mariadb              ends it, if it was started
#
# It touches no service of the system: own data, port, socket; no configuration file is read.

MARIADB_PID='' MARIADB_URL=''

readonly MARIADB_SECONDS_MAX=60

start_mariadb() {
    local directory=$1 port user=()
    [[ $EUID != 0 ]] || user=(--user=root)
    mkdir -p "$directory"
    if ! mariadb-install-db --no-defaults "${user[@]}" --datadir="$directory/data" \
        --auth-root-authentication-method=normal --skip-test-db >"$directory/install.log" 2>&1; then
        cat "$directory/install.log" >&2
        return 1
    fi
    # Clients over TCP are 127.0.0.1 to the server, for which a new server knows no account.
    printf '%s\n' "CREATE USER IF NOT EXISTS root@'127.0.0.1' IDENTIFIED BY '';" \
        "GRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;" \
        'CREATE DATABASE IF NOT EXISTS gatehouse;' >"$directory/accounts.sql"
    port=$(free_port)
    "$(command -v mariadbd || echo /usr/sbin/mariadbd)" --no-defaults "${user[@]}" \
        --datadir="$directory/data" --socket="$directory/socket" --pid-file="$directory/pid" \
        --init-file="$directory/accounts.sql" --bind-address=127.0.0.1 --port="$port" \
        --skip-name-resolve --skip-log-bin --innodb-flush-log-at-trx-commit=1 \
        --max-connections=500 </dev/null >"$directory/log" 2>&1 &
    MARIADB_PID=$!
    # shellcheck disable=SC2034 # for whoever sources this
    MARIADB_URL=mysql://root@127.0.0.1:$port
    local give_up=$((SECONDS + MARIADB_SECONDS_MAX))
    until grep -qs 'ready for connections' "$directory/log"; do
        if ! kill -0 "$MARIADB_PID" 2>/dev/null || ((SECONDS >= give_up)); then
            cat "$directory/log" >&2
            return 1
        fi
        sleep 0.1
    done
}

stop_mariadb() {
    [[ -n $MARIADB_PID ]] || return 0
    # Nothing of it is kept, so it need not be shut down in order.
    kill -KILL "$MARIADB_PID" 2>/dev/null || true
    wait "$MARIADB_PID" 2>/dev/null || true
    MARIADB_PID=''
}

# A port that nobody listens on, outside the range that the system hands to clients by default.
free_port() {
    local port
    while true; do
        port=$((RANDOM % 10000 + 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}
