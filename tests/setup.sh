# What a fresh Debian or Ubuntu machine lacks, by package name. Sourced by tests/run.sh, .ci/run and
# examples/quickstart.sh:
#
#     need gcc gcc            a program, and the package it comes in
#     need_file /usr/include/cmocka.h libcmocka-dev
#     install_needs           installs what is missing (root), or prints the one command and fails
#
# Where everything is there, nothing is installed and nothing is asked of the network.
needs=""

need() {
    command -v "$1" >/dev/null 2>&1 || needs="$needs $2"
}

need_file() {
    [ -e "$1" ] || needs="$needs $2"
}

# A library that pkg-config knows may lie anywhere.
need_library() {
    pkg-config --exists "$1" 2>/dev/null || needs="$needs $2"
}

install_needs() {
    [ -n "$needs" ] || return 0
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "Missing here, under the names of Debian's packages:$needs" >&2
        return 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        echo "Some packages are missing. Please run:" >&2
        echo "    sudo apt-get install -y --no-install-recommends$needs" >&2
        return 1
    fi
    echo "Installing:$needs"
    setup_log=$(mktemp) || return 1
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends $needs; } </dev/null >"$setup_log" 2>&1; then
        tail -n 20 "$setup_log" >&2
        rm -f "$setup_log"
        return 1
    fi
    rm -f "$setup_log"
    needs=""
}

# What a plain build needs.
need_build_tools() {
    need gcc gcc
    need_file /usr/include/stdio.h libc6-dev
    need pkg-config pkg-config
    need ninja ninja-build
    need meson meson
}
