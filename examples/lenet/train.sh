#!/bin/sh
# Trains the weights that come with this example once more, and prints their accuracy.
#
#     sh examples/lenet/train.sh [OUT.safetensors [OPTION VALUE]...]
#
# Without arguments examples/lenet/lenet5.safetensors is replaced (by the same bytes: the training
# gives the same weights on every machine). Options are those of `lenet train`. Installs what is
# missing (as root; otherwise prints the one command to run) and builds into build-lenet-native/, for
# the machine at hand.
set -eu

out=examples/lenet/lenet5.safetensors
if [ $# -gt 0 ]; then
    case $1 in
    /*) out=$1 ;;
    *) out=$(pwd)/$1 ;;
    esac
    shift
fi
cd "$(dirname "$0")/../.."
. tests/setup.sh

need_build_tools
install_needs
images=$(sh examples/lenet/images.sh)

build=build-lenet-native
. examples/lenet/native.sh
build_native examples/lenet/lenet
$build/examples/lenet/lenet train "$out" "$images" "$@"
