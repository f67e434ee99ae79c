#!/bin/sh
# Compresses stories260K in some ways and runs tinylm from each file, beside the same program on floats.
# Prints a Markdown table.
#
#     sh examples/tinylm/compare.sh DATA [BUILD]
#
# DATA holds models/stories260k.safetensors, models/stories260k_hessian.safetensors (the importance of
# its weights), llm/tok512.bin and a text, llm/tinystories_valid_sample.txt. BUILD (default: build) is
# where the library was built.
set -eu

data=${1:?"usage: compare.sh DATA [BUILD]"}
build=${2:-build}
model=$data/models/stories260k.safetensors
importance=$data/models/stories260k_hessian.safetensors
words=$data/llm/tok512.bin
text=$data/llm/tinystories_valid_sample.txt
for file in "$model" "$importance" "$words" "$text"; do
    [ -f "$file" ] || {
        echo "$file is missing. Model and tokenizer are stories260K of" >&2
        echo "https://huggingface.co/karpathy/tinyllamas, the tensors of its checkpoint under their names" >&2
        echo "in a safetensors file; any text of TinyStories will do." >&2
        exit 1
    }
done

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# row LABEL FILE OPTION...: a line of the table.
row() {
    label=$1 file=$2
    shift 2
    "$build/examples/tinylm/tinylm" "$file" "$words" --tokens 500 --text "$text" "$@" | tail -n 1 |
        sed -E "s!^[a-z]+: (.*) tokens/s, weights in (.*) KB, peak memory (.*) MB, loss ([0-9.]+) .*!| $label | $(wc -c <"$file") | \\2 | \\3 | \\1 | \\4 |!"
}

# compress NAME OPTION...: makes NAME.nq.
compress() {
    name=$1
    shift
    "$build/examples/nq/nq" compress "$model" -o "$folder/$name.nq" --quiet "$@"
}

weigh="--importance $importance --importance-floor 0.01"
compress raw --keep '*'
# shellcheck disable=SC2086
{
    compress fixed --method kmeans --levels 64 --scope tensor --codec fixed $weigh
    compress five --target 5x --rdo --allocate slope --scope tensor $weigh
    compress six --target 6x --rdo --allocate slope --scope tensor $weigh
    compress seven --target 7x --rdo --allocate slope --scope tensor $weigh
}
echo "| | file, bytes | weights in memory, KB | peak memory, MB | tokens/s | loss |"
echo "|---|---|---|---|---|---|"
row "floats" "$folder/raw.nq" --floats
row "stored as they are" "$folder/raw.nq"
row "64 levels, fixed length" "$folder/fixed.nq"
row "equal slope, 5x" "$folder/five.nq"
row "equal slope, 6x" "$folder/six.nq"
row "equal slope, 7x" "$folder/seven.nq"
