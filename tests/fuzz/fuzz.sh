#!/bin/sh
# Fuzzes: fuzz.sh BUILD SECONDS [TARGET...], SECONDS for each target, one after another.
#
# BUILD is set up as README.md says. Corpora are kept in BUILD/corpus, and begin with valid inputs;
# findings go to BUILD/found. Prints a line for each target: executions, edges covered, inputs kept.
# Fails if anything was found.
set -eu

build=$1
seconds=$2
shift 2
[ $# -gt 0 ] || set -- block decode design encoder json npy open plan safetensors stats structs table valid
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS=detect_stack_use_after_return=1:allocator_may_return_null=1
status=0
mkdir -p "$build/found"
for target in "$@"; do
    corpus=$build/corpus/$target
    if [ ! -d "$corpus" ]; then
        mkdir -p "$corpus"
        "$build/tests/fuzz/replay" "$target" --seeds "$corpus" 150
        case $target in
        open | decode) cp "$(dirname "$0")"/corpus/*.nq "$corpus" ;;
        esac
    fi
    log=$build/found/$target.log
    if "$build/tests/fuzz/fuzz_$target" "$corpus" "-max_total_time=$seconds" -timeout=60 -rss_limit_mb=2500 \
        -print_final_stats=1 -reload=0 "-artifact_prefix=$build/found/$target-" >"$log" 2>&1; then
        found=nothing
    else
        found="something: see $log"
        status=1
    fi
    awk -v target="$target" -v found="$found" '
        /cov: / { for (i = 1; i < NF; i++) { if ($i == "cov:") edges = $(i + 1); if ($i == "corp:") kept = $(i + 1) } }
        /number_of_executed_units/ { runs = $2 }
        END { sub("/.*", "", kept); printf "%s: %d executions, %d edges, %d inputs kept, found %s\n", target, runs, edges, kept, found }' "$log"
done
exit $status
