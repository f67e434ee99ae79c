#!/bin/sh
# Builds libnq for other machines and runs it under qemu (i386 on this machine, if it is an x86-64).
#
#     sh tests/machines.sh [--all] [MACHINE...]
#
# MACHINE: aarch64 armv7 i386 riscv64 s390x; x86-64, on processors without AVX2 and without AVX-512;
# cortex-m, bare metal. All of them, unless named. On each the unit tests and the kernels' tests run (without
# the slow ones, unless --all), and `nq` must write and decode the same bytes as the one built for
# this machine. A machine whose compiler or emulator is not installed here is skipped with a message
# (Debian: qemu-user, gcc-aarch64-linux-gnu and its like; qemu-system-arm, gcc-arm-none-eabi,
# libnewlib-arm-none-eabi). The summary counts machines. Builds are kept in build-check/.
set -u

cd "$(dirname "$0")/.."

# Tests that take a second or more where they run without an emulator.
slow='design ecsq ecsq_golden huffman huffman_design importance kmeans kmeans_golden lenet
    lenet_weights lenet_work log2 occupancy plan plan_hooks rans rans_train rdo stats_line stats_sort
    stats_summary uniform codec decode'

all=
if [ "${1:-}" = --all ]; then
    all=yes
    shift
fi
[ $# -gt 0 ] || set -- aarch64 armv7 i386 riscv64 s390x x86-64 cortex-m
mkdir -p build-check
passed=0 failed=0 skipped=0

# quietly LOG COMMAND...: shows the log's end if the command fails.
quietly() {
    log=$1
    shift
    "$@" </dev/null >"$log" 2>&1 && return 0
    tail -n 40 "$log" >&2
    return 1
}

# setup FOLDER OPTIONS...
setup() {
    folder=$1
    shift
    reconfigure=
    [ ! -e "$folder/build.ninja" ] || reconfigure=--reconfigure
    quietly "$folder.log" meson setup "$folder" $reconfigure --werror "$@"
}

# build FOLDER OPTIONS...: of the tests only what then runs is built.
build() {
    setup "$@" -Dtests=enabled -Doptimization=2 && quietly "$1.log" ninja -C "$1" examples/nq/nq
}

# chosen FOLDER: names of the tests to run.
chosen() {
    for name in $(meson test -C "$1" --list --suite unit --suite kernels 2>/dev/null |
        sed -n 's|^libnq:[a-z]* / ||p'); do
        case " $(echo $slow) " in
        *" $name "*) [ -z "$all" ] || echo "$name" ;;
        *) echo "$name" ;;
        esac
    done
}

# run_tests FOLDER LABEL OPTIONS...
run_tests() {
    tests_log=$1-$2.tests
    folder=$1
    shift 2
    names=$(chosen "$folder")
    [ -n "$names" ] || return 1
    quietly "$tests_log" meson test -C "$folder" --print-errorlogs \
        --timeout-multiplier 20 "$@" $names || return 1
    sed -n 's/^Ok: */  tests passed: /p' "$tests_log"
}

# same_bytes FOLDER LABEL COMMAND...: what runs `nq` of that folder.
same_bytes() {
    program=$1-$2.nq
    label=$2
    folder=$1
    shift 2
    printf '#!/bin/sh\nexec %s "$@"\n' "$* $folder/examples/nq/nq" >"$program"
    chmod +x "$program"
    quietly "$program.tests" python3 tests/matrix/same_bytes.py --threads 2 \
        here=build-check/x86-64/examples/nq/nq "$label=$program" || return 1
    echo "  the same bytes: $(grep -c '^ok ' "$program.tests") cases"
}

# The build for this machine, that others are held against.
here() {
    [ -n "${here_is_built:-}" ] || build build-check/x86-64 || return 1
    here_is_built=yes
}

# emulator FILE: the line of a cross file that says how to run its programs.
emulator() {
    sed -n "s/^exe_wrapper = //p" "$1" | tr -d "[],'"
}

missing() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || {
            echo "  skipped: $program is not installed here"
            return 0
        }
    done
    return 1
}

# Each returns 77 when skipped.
cross() {
    file=tests/machines/$1.ini
    run=$(emulator "$file")
    missing "$(sed -n "s/^c = '\(.*\)'/\1/p" "$file")" "${run%% *}" && return 77
    here && build "build-check/$1" --cross-file "$file" &&
        run_tests "build-check/$1" emulated &&
        same_bytes "build-check/$1" emulated "$run"
}

x86_64() {
    [ "$(uname -m)" = x86_64 ] || {
        echo "  skipped: this is no x86-64"
        return 77
    }
    missing qemu-x86_64 && return 77
    here || return 1
    for model in Conroe Nehalem Haswell; do # SSSE3; SSE4.2, CRC32; AVX2, BMI2, without AVX-512
        echo "  $model"
        run="qemu-x86_64 -cpu $model"
        run_tests build-check/x86-64 $model "--wrapper=$run" &&
            same_bytes build-check/x86-64 $model "$run" || return 1
    done
}

cortex_m() {
    missing arm-none-eabi-gcc qemu-system-arm && return 77
    here && setup build-check/cortex-m --cross-file tests/machines/cortex-m.ini -Dtests=disabled \
        -Dthreads=disabled --buildtype=minsize &&
        quietly build-check/cortex-m.log ninja -C build-check/cortex-m lib/libnqdec.a &&
        python3 tests/machines/bare_metal.py build-check/x86-64/examples/nq/nq \
            build-check/cortex-m
}

for machine in "$@"; do
    echo "== $machine"
    case $machine in
    x86-64) x86_64 ;;
    cortex-m) cortex_m ;;
    *) cross "$machine" ;;
    esac
    case $? in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *)
        echo "  FAILED"
        failed=$((failed + 1))
        ;;
    esac
done

echo
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
