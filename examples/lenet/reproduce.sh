#!/bin/sh
# The paper's experiment on LeNet-5, from the training to the report in docs/results/lenet.
#
#     sh examples/lenet/reproduce.sh [FOLDER]
#
# Networks and all that is measured go to FOLDER (build-lenet-native/experiment), where a run that was
# broken off goes on. Installs what is missing (as root; otherwise prints the one command to run) and
# builds into build-lenet-native/, for the machine at hand. About an hour on one core.
set -eu

cd "$(dirname "$0")/../.."
. tests/setup.sh

need_build_tools
need python3 python3
install_needs
images=$(sh examples/lenet/images.sh)

build=build-lenet-native
. examples/lenet/native.sh
build_native examples/lenet/lenet examples/nq/nq
lenet=$build/examples/lenet/lenet
work=${1:-$build/experiment}
mkdir -p "$work"

# Takes its place when it is complete.
train() {
    [ -e "$work/dense.safetensors" ] && return
    $lenet train "$work/dense.part" "$images" --hold-out 5000
    mv "$work/dense.part" "$work/dense.safetensors"
}

# prune FROM TO DENSITY EPOCHS RAMP
prune() {
    [ -e "$work/$2.safetensors" ] && return
    $lenet prune "$work/$1.safetensors" "$work/$2.part" "$images" --hold-out 5000 \
        --moment "$work/$2-moment.safetensors" --density "$3" --epochs "$4" --ramp "$5"
    mv "$work/$2.part" "$work/$2.safetensors"
}

train
prune dense pruned 0.08 14 8
prune pruned thin 0.05 14 8
prune pruned middle 0.03 14 8
prune middle sparse 0.02 12 6
python3 examples/lenet/experiment.py $lenet $build/examples/nq/nq "$images" "$work" \
    docs/results/lenet
