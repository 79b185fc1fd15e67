# shellcheck shell=bash
# A private system for measuring: release binaries, own ports, own data. To be sourced from the
# repository's root.
#
#   start_system DIRECTORY sqlite|mysql   builds and starts it, its data in DIRECTORY/data; sets BASE,
#                                         FRONT_PID and AUTH_PID, and on mysql MARIADB_URL
#   stop_system                           ends it, and the private MariaDB
#   register_users COUNT                  makes user-0 to user-(COUNT-1), all with $PASSWORD
#   log_in NAME                           prints a token

# shellcheck source=perf/harness.sh
source perf/harness.sh
# shellcheck source=perf/packages.sh
source perf/packages.sh

export PASSWORD='correct horse battery'
BASE='' FRONT_PID='' AUTH_PID='' MARIADB_URL=''

start_system() {
    local directory=$1 store=$2
    [[ $store != mysql ]] || need_mariadb
    need_package cc gcc libc6-dev
    cargo build --release --locked --package http_front --package auth_back --package harness
    # What is measured is the defaults; a log line for each connection would be measured too.
    export HTTP_FRONT_LOG_LEVEL=${HTTP_FRONT_LOG_LEVEL:-warn} AUTH_BACK_LOG_LEVEL=${AUTH_BACK_LOG_LEVEL:-warn}
    start_harness "${CARGO_TARGET_DIR:-target}/release" system --store "$store" --data "$directory/data"
    # shellcheck disable=SC2034 # for whoever sources this
    BASE=${HARNESS[base]} FRONT_PID=${HARNESS[front_pid]} AUTH_PID=${HARNESS[auth_pid]} \
        MARIADB_URL=${HARNESS[mariadb_url]:-}
}

stop_system() {
    stop_harness
}

register_users() {
    local i
    for ((i = 0; i < $1; i++)); do
        post register "user-$i" >/dev/null
    done
}

log_in() {
    local answer
    answer=$(post authenticate "$1")
    sed 's/.*"token":"\([^"]*\)".*/\1/' <<<"$answer"
}

# post ROUTE NAME: the credentials of NAME; fails unless the answer is 200.
post() {
    curl --silent --show-error --fail-with-body --header 'Content-Type: application/json' \
        --data "{\"username\":\"$2\",\"password\":\"$PASSWORD\"}" "$BASE/open_api/v1/$1"
}

# cpu_us PID: CPU time of a process so far in microseconds, to a clock tick of usually 10 ms.
cpu_us() {
    local stat fields
    stat=$(<"/proc/$1/stat")
    # The name in parentheses may hold blanks; what follows it does not. utime and stime are fields 14
    # and 15 of proc(5), the 12th and 13th after the name.
    read -ra fields <<<"${stat##*) }"
    echo $(((fields[11] + fields[12]) * 1000000 / $(getconf CLK_TCK)))
}

# One line that says where figures come from.
provenance() {
    local commit
    commit=$(git describe --always --dirty 2>/dev/null || echo unknown)
    echo "commit $commit, $(nproc) cores $(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)," \
        "Linux $(uname -r), $(date -u +%Y-%m-%d)"
}

# ms MICROSECONDS: milliseconds with two decimals.
ms() {
    printf '%d.%02d' $(($1 / 1000)) $(($1 % 1000 / 10))
}

# row CELL...: one row of a table in Markdown.
row() {
    local cell
    for cell in "$@"; do printf '| %s ' "$cell"; done
    printf '|\n'
}
