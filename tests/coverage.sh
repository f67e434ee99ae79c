#!/bin/sh
# How much of the library the tests run: lines and branches of what decodes, and of floor 0.
#
#     sh tests/coverage.sh [--all]
#
# Builds in build-check/coverage with gcc, runs the tests that are about these two, those of kernels and
# of tests/fuzz (with --all every test there is), and prints the figures (tests/coverage.py, which says
# what is counted). Fails below 95 % of lines or 90 % of branches.
set -u

cd "$(dirname "$0")/.."
folder=build-check/coverage
all=
[ "${1:-}" != --all ] || all=yes
mkdir -p build-check
reconfigure=
[ ! -e $folder/build.ninja ] || reconfigure=--reconfigure
if ! { CC=gcc CXX=g++ meson setup $folder $reconfigure -Dtests=enabled -Db_coverage=true \
    -Dbuildtype=debug -Doptimization=1 -Db_ndebug=true &&
    ninja -C $folder; } >$folder.log 2>&1; then
    tail -n 40 $folder.log
    exit 1
fi
find $folder -name '*.gcda' -delete

# run_tests ARGUMENTS...
run_tests() {
    meson test -C $folder --no-rebuild --timeout-multiplier 10 "$@" </dev/null >$folder.tests 2>&1 && return 0
    grep -E 'FAIL|TIMEOUT' $folder.tests
    exit 1
}
if [ -n "$all" ]; then
    run_tests
else
    run_tests --suite kernels --suite fuzz
    run_tests alloc channels checked checksum codec context cpu cursor damage decode fixed half huffman index \
        integers log2 lossless matvec names par rans reader relevel sweep versioned view
fi
python3 tests/coverage.py $folder "$@"
