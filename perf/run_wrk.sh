#!/usr/bin/env bash
# Prints a table of throughput and latency for each kind of request.
#
#   perf/run_wrk.sh [--store sqlite|mysql] [--duration SECONDS] [--connections N] [--mix-connections N]
#                   [--hash-connections N] [--only register|authenticate|products|mix]
#
# Builds the release binaries, starts a private system (own data, own ports, default settings, so
# default argon2), warms up, then runs wrk for --duration seconds (10) per row. Products run over
# --connections (64). Register and authenticate are bound by hashing, so more than --hash-connections (4)
# would only measure how long the queue is; so is the mix (94% products, 5% authenticate, 1% register)
# in the end, over --mix-connections (16).
#
# wrk sends the next request when the last is answered, so its latencies leave out what users would
# have waited in a stall (closed loop). perf/run_k6.sh measures at a constant arrival rate instead.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=perf/system.sh
source perf/system.sh

readonly USERS=32 WARM_UP_SECONDS=2 THREADS=1

store=sqlite duration=10 connections=64 mix_connections=16 hash_connections=4
rows=(register authenticate products mix)

main() {
    while (($# > 0)); do
        [[ $# -ge 2 ]] || usage
        case $1 in
        --store) store=$2 ;;
        --duration) duration=$2 ;;
        --connections) connections=$2 ;;
        --mix-connections) mix_connections=$2 ;;
        --hash-connections) hash_connections=$2 ;;
        --only) rows=("$2") ;;
        *) usage ;;
        esac
        shift 2
    done
    need_package wrk wrk
    need_package curl curl

    scratch=$(mktemp -d)
    trap 'stop_system; rm -rf "$scratch"' EXIT
    trap 'exit 1' INT TERM HUP
    start_system "$scratch" "$store"
    echo "warming up" >&2
    # Half of them log in again and again, and a user has only so many sessions (--sessions-per-user):
    # the tokens that view the products are of the other half.
    register_users $((2 * USERS))
    for ((i = USERS; i < 2 * USERS; i++)); do log_in "user-$i"; done >"$scratch/tokens"
    export USERS TOKENS_FILE=$scratch/tokens

    echo "$(provenance), store $store, ${duration} s a row, wrk $(wrk_version)"
    echo
    row Request Connections Requests/s 'p50 ms' 'p90 ms' 'p99 ms' 'max ms' Errors 'front µs' 'auth µs'
    row --- ---: ---: ---: ---: ---: ---: ---: ---: ---:
    local name
    for name in "${rows[@]}"; do
        measure "$name"
    done
    echo
    echo "front µs and auth µs: CPU time of each server per request."
}

# measure NAME: one row of the table.
measure() {
    local count=$connections
    case $1 in
    register | authenticate) count=$hash_connections ;;
    mix) count=$mix_connections ;;
    esac
    # Names that earlier runs have registered would be refused.
    RUN=warm-$1 run_wrk "$1" "$count" "$WARM_UP_SECONDS" >/dev/null

    local front auth out requests us p50 p90 p99 max errors
    front=$(cpu_us "$FRONT_PID") auth=$(cpu_us "$AUTH_PID")
    out=$(RUN=run-$1 run_wrk "$1" "$count" "$duration")
    front=$(($(cpu_us "$FRONT_PID") - front)) auth=$(($(cpu_us "$AUTH_PID") - auth))
    read -r _ requests us p50 p90 p99 max errors < <(grep '^RESULT ' <<<"$out") ||
        { echo "wrk did not end as expected: $out" >&2; return 1; }
    ((requests > 0)) || { echo "no request was answered: $out" >&2; return 1; }
    row "$1" "$count" "$((requests * 1000000 / us))" "$(ms "$p50")" "$(ms "$p90")" "$(ms "$p99")" \
        "$(ms "$max")" "$errors" "$((front / requests))" "$((auth / requests))"
}

# run_wrk SCRIPT CONNECTIONS SECONDS. One thread: the servers need the other core.
run_wrk() {
    (cd perf/wrk && wrk --threads "$THREADS" --connections "$2" --duration "${3}s" --timeout 10s \
        --script "$1.lua" "$BASE")
}

wrk_version() {
    (wrk --version || true) | sed -n 's/^wrk \([^ ]*\).*/\1/p'
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

main "$@"
