# Building for the machine at hand. Sourced, at the top of the project, with $build set:
#
#     build_native TARGET...
native=
if ${CC:-cc} -march=native -x c -E /dev/null >/dev/null 2>&1; then
    native=-march=native
fi

build_native() {
    mkdir -p "$build"
    { [ -e "$build/build.ninja" ] || meson setup "$build" -Dtests=disabled \
        -Ddefault_library=static -Dc_args=$native; } >"$build/log.txt" 2>&1 </dev/null &&
        ninja -C "$build" "$@" >>"$build/log.txt" 2>&1 </dev/null || {
        cat "$build/log.txt" >&2
        exit 1
    }
}
