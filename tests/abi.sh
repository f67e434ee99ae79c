#!/bin/sh
# The ABI gate: do programs built against an older libnq still run with this one?
#
#     sh tests/abi.sh               the checks of tests/abi/gate.py
#     sh tests/abi.sh --self-test   and that they go red when something is broken
#     sh tests/abi.sh --update      takes what was added into the baseline
set -eu

cd "$(dirname "$0")/.."
mkdir -p build-check
case ${1:-} in
--self-test) python3 tests/abi/self_test.py . build-check/abi-self-test ;;
*) python3 tests/abi/gate.py "$@" . build-check/abi ;;
esac
