#!/bin/sh
# Sets up, builds, and passes all tests.
#
#     sh tests/run.sh
#
# 1. Installs what is missing (as root; otherwise prints the one command to run).
# 2. Builds with gcc, and with clang where there is one, warnings being errors, and runs the tests (the
#    slow ones with the first of them).
# 3. Builds `nq` with each compiler at -O0 and -O3 and holds their files against each other, byte by
#    byte, with 1, 2 and 5 threads.
#
# Builds are kept in build-check/, so that the next run only builds what changed. NQ_COMPILERS names
# the compilers ("gcc clang").
set -eu

cd "$(dirname "$0")/.."
. tests/setup.sh

need_build_tools
need g++ g++
need python3 python3
need_library cmocka libcmocka-dev
install_needs
need_library cmocka libcmocka-dev # was only knowable with pkg-config at hand
install_needs

if [ -z "${NQ_COMPILERS:-}" ]; then
    NQ_COMPILERS=gcc
    command -v clang >/dev/null 2>&1 && NQ_COMPILERS="gcc clang"
fi
mkdir -p build-check

# configure FOLDER COMPILER OPTIONS...: quiet unless it fails.
configure() {
    folder=$1
    compiler=$2
    shift 2
    case $compiler in
    *clang) cxx=clang++ ;;
    *) cxx=g++ ;;
    esac
    reconfigure=
    [ -e "$folder/build.ninja" ] && reconfigure=--reconfigure
    if ! CC=$compiler CXX=$cxx meson setup "$folder" $reconfigure --werror "$@" \
        </dev/null >"$folder.log" 2>&1; then
        cat "$folder.log" >&2
        exit 1
    fi
}

build() {
    if ! ninja -C "$1" </dev/null >"$1.log" 2>&1; then
        cat "$1.log" >&2
        exit 1
    fi
}

passed=0
failed=0
skipped=0

# Adds the numbers that `meson test` closes with.
count() {
    passed=$((passed + $(sed -n 's/^Ok: *//p; s/^Expected Fail: *//p' "$1" | awk '{n += $1} END {print n + 0}')))
    failed=$((failed + $(sed -n 's/^Fail: *//p; s/^Unexpected Pass: *//p; s/^Timeout: *//p' "$1" |
        awk '{n += $1} END {print n + 0}')))
    skipped=$((skipped + $(sed -n 's/^Skipped: *//p' "$1" | awk '{n += $1} END {print n + 0}')))
}

suites=
for compiler in $NQ_COMPILERS; do
    folder=build-check/$compiler
    echo "== $compiler: build and test"
    configure "$folder" "$compiler" -Dtests=enabled
    build "$folder"
    status=0
    meson test -C "$folder" --no-rebuild --print-errorlogs $suites </dev/null >"$folder.tests" 2>&1 || status=$?
    cat "$folder.tests"
    before=$((passed + failed))
    count "$folder.tests"
    if [ "$status" -ne 0 ] && ! grep -q '^Ok:' "$folder.tests" || [ $((passed + failed)) -eq "$before" ]; then
        echo "$compiler: the tests could not be run" >&2
        exit 1
    fi
    suites="--no-suite slow"
done

programs=
for compiler in $NQ_COMPILERS; do
    for level in 0 3; do
        folder=build-check/$compiler-O$level
        echo "== $compiler -O$level: build"
        configure "$folder" "$compiler" -Dtests=disabled -Ddefault_library=static \
            --buildtype=plain "-Doptimization=$level"
        build "$folder"
        programs="$programs $compiler-O$level=$folder/examples/nq/nq"
    done
done

echo "== the same bytes from each"
status=0
python3 tests/matrix/same_bytes.py $programs </dev/null >build-check/same_bytes.tests 2>&1 || status=$?
cat build-check/same_bytes.tests
passed=$((passed + $(grep -c '^ok ' build-check/same_bytes.tests || true)))
failed=$((failed + $(grep -c '^not ok ' build-check/same_bytes.tests || true)))
if [ "$status" -ne 0 ] && ! grep -q '^not ok ' build-check/same_bytes.tests; then
    exit 1
fi

echo
if [ "$skipped" -ne 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
else
    echo "$passed passed, $failed failed"
fi
[ "$failed" -eq 0 ]
