# shellcheck shell=bash
# Private servers, by way of the crate `harness`. To be sourced from the repository's root, once the harness
# is built.
#
#   start_harness BINARIES WORD...   runs `BINARIES/harness WORD...`; what it tells is in HARNESS, by key
#   stop_harness                     ends what was started
#
# What was started ends with this shell too, however that ends: it holds the harness's standard input open.

declare -A HARNESS=()
harness_pid='' harness_input=''

start_harness() {
    local told key value
    told=$(mktemp -u)
    mkfifo "$told"
    # The other end of this pipe is the harness's input.
    exec {harness_input}> >(exec "$1/harness" "${@:2}" >"$told")
    harness_pid=$!
    HARNESS=()
    # Ends when all is told, or with the harness.
    while IFS='=' read -r key value; do HARNESS[$key]=$value; done <"$told"
    rm "$told"
    ((${#HARNESS[@]} > 0)) || { echo "harness ${*:2} does not start" >&2; return 1; }
}

stop_harness() {
    [[ -n $harness_pid ]] || return 0
    exec {harness_input}>&-
    wait "$harness_pid" || true
    harness_pid=''
}
