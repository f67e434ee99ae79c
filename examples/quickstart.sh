#!/bin/sh
# Sets up, builds, and compresses a real trained network: the LeNet-5 in examples/lenet.
#
#     sh examples/quickstart.sh [STEP]
#
# Installs what is missing (as root; otherwise prints the one command to run), builds into
# build-quickstart/, compresses the network with a uniform quantizer of the given step (default 0.03),
# decodes it again, and shows what that costs. Accuracy is measured on the 10,000 test images of MNIST
# where they can be found or fetched (examples/lenet/images.sh); without them the distortion has to do.
set -eu

step=${1:-0.03}
cd "$(dirname "$0")/.."
. tests/setup.sh

need_build_tools
install_needs

build=build-quickstart
weights=examples/lenet/lenet5.safetensors
out=$build/lenet5.nq
decoded=$build/lenet5-decoded.safetensors

log=$build/log.txt
mkdir -p $build
echo "Building (the log is $log)"
{ [ -e $build/build.ninja ] || meson setup $build -Dtests=disabled -Ddefault_library=static; } \
    >$log 2>&1 && ninja -C $build >>$log 2>&1 </dev/null || {
    cat $log >&2
    exit 1
}
nq=$build/examples/nq/nq
lenet=$build/examples/lenet/lenet

$nq compress $weights -o $out --step "$step" --min-elems 0 --force --json >$build/compress.json
$nq verify $out >/dev/null
$nq decompress $out -o $decoded --force --quiet

# The number behind a key at the top level of the program's JSON.
value() {
    tr ',{}' '\n\n\n' <$build/compress.json | sed -n "s/^ *\"$1\": *\\([-+0-9.eE]*\\).*/\\1/p" | head -n 1
}

echo
echo "LeNet-5, 431,080 weights, step $step, levels shared by all layers"
echo
awk -v original="$(value original_bytes)" -v compressed="$(value compressed_bytes)" \
    -v ratio="$(value ratio)" -v bits="$(value bits_per_weight)" -v mse="$(value mse)" \
    -v sqnr="$(value sqnr_db)" -v worst="$(value max_abs_error)" 'BEGIN {
    printf "  original      %9d bytes\n", original
    printf "  compressed    %9d bytes   %s\n", compressed, "'"$out"'"
    printf "  ratio         %9.2f\n", ratio
    printf "  per weight    %9.2f bits\n", bits
    printf "  error         %9.2f dB      signal to noise; mean square %.3g, at most %.3g\n", sqnr, mse, worst
}'

find_images() {
    images=$(sh examples/lenet/images.sh 2>$build/images.log) && [ -n "$images" ]
}

# What can fetch them, if they are nowhere and nothing here can. Without it the rest still works.
install_fetcher() {
    [ "$(id -u)" -eq 0 ] && ! command -v npm >/dev/null 2>&1 || return 1
    need curl curl
    need_file /etc/ssl/certs/ca-certificates.crt ca-certificates
    [ -n "$needs" ] && install_needs >/dev/null
}

if find_images || { install_fetcher && find_images; }; then
    before=$($lenet eval $weights "$images")
    after=$($lenet eval $decoded "$images")
    printf '  accuracy      %s before, %s after\n' "$before" "$after"
else
    echo "  accuracy      not measured"
    sed 's/^/                /' $build/images.log
fi
echo
echo "Next: $nq --help, or another step: sh examples/quickstart.sh 0.06"
