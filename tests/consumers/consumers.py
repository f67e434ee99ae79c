#!/usr/bin/env python3
"""Programs outside the tree, built against the installed library and run.

usage: consumers.py SOURCE_ROOT BUILD_ROOT MESON CC CXX NM DECODER_SOURCE...

Installs the build into a folder of its own, then builds consumer.c, consumer.cpp and decoder_only.c
through pkg-config (shared; static; decoder alone) and through CMake, the latter from a prefix that
was moved after installing; without an installation, the decoder's sources with nothing but a
compiler, a program without a C library, and a meson project with libnq inside. The adapters of
examples/adapters lend threads; examples/python reads a file through ctypes. Prints TAP.
"""

import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1"]


class Failed(Exception):
    pass


def demand(condition, message):
    if not condition:
        raise Failed(message)


def run(*command, env=None):
    result = subprocess.run(command, env=env, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise Failed(f"{shlex.join(command)}: exit {result.returncode}\n{result.stdout}")
    return result.stdout


def find(prefix, name):
    for folder, _, names in os.walk(prefix):
        if name in names:
            return folder
    raise Failed(f"{name} was not installed")


def flags(prefix, package, *options):
    """What pkg-config says, for a prefix that is not where it was configured to be."""
    env = {**os.environ, "PKG_CONFIG_PATH": find(prefix, package + ".pc")}
    return shlex.split(run("pkg-config", f"--define-variable=prefix={prefix}", "--cflags", "--libs",
                           *options, package, env=env))


class Consumers:
    def __init__(self, folder, source, build, meson, cc, cxx, nm, *decoder_sources):
        self.folder, self.source, self.build, self.meson, self.nm = folder, source, build, meson, nm
        self.cc, self.cxx = shlex.split(cc), shlex.split(cxx)
        self.decoder_sources = decoder_sources
        self.file = os.path.join(folder, "consumer.nq")
        self.prefix = self.install()

    def install(self):
        run(self.meson, "install", "-C", self.build, "--no-rebuild", "--quiet", "--destdir",
            os.path.join(self.folder, "installed"))
        include = find(os.path.join(self.folder, "installed"), "nq.h")
        return os.path.dirname(os.path.dirname(include))

    def compiled(self, compiler, source, arguments, name):
        program = os.path.join(self.folder, name)
        standard = "-std=c++17" if source.endswith(".cpp") else "-std=c11"
        run(*compiler, standard, *WARNINGS, "-I", os.path.join(self.source, "examples", "adapters"),
            os.path.join(HERE, source), "-o", program, *arguments, "-lm", "-pthread")
        return program

    def shared(self, prefix):
        return [*flags(prefix, "nq"), "-Wl,-rpath," + find(prefix, "libnq.so")]

    def c_shared(self):
        run(self.compiled(self.cc, "consumer.c", self.shared(self.prefix), "c_shared"), self.file)

    def cpp_shared(self):
        run(self.compiled(self.cxx, "consumer.cpp", self.shared(self.prefix), "cpp_shared"))

    def static_prefix(self):
        """The installation of somebody who wants no shared libraries."""
        prefix = os.path.join(self.folder, "static")
        if not os.path.exists(prefix):
            shutil.copytree(self.prefix, prefix, symlinks=True)
            folder = find(prefix, "libnq.a")
            for name in os.listdir(folder):
                if name.startswith("libnq.so"):
                    os.remove(os.path.join(folder, name))
        return prefix

    def c_static(self):
        arguments = flags(self.static_prefix(), "nq", "--static")
        run(self.compiled(self.cc, "consumer.c", arguments, "c_static"), self.file)

    def cpp_static(self):
        arguments = flags(self.static_prefix(), "nq", "--static")
        run(self.compiled(self.cxx, "consumer.cpp", arguments, "cpp_static"))

    def decoder_only(self):
        arguments = flags(self.prefix, "nqdec")
        program = self.compiled(self.cc, "decoder_only.c", arguments, "decoder_only")
        self.decoder_output = run(program, self.file)
        symbols = run(self.nm, program)
        for name in ("nq_plan_create", "nq_encoder_create", "nq_ctx_create", "nqi_alloc"):
            if name in symbols:
                raise Failed(f"the decoder brings {name}")

    def plain_cc(self):
        """The decoder's sources in somebody's own build, without any of the project's flags."""
        include = ["-I", os.path.join(self.source, "include"), "-I", os.path.join(self.source, "lib")]
        program = self.compiled(self.cc, "decoder_only.c", [*include, *self.decoder_sources], "plain")
        demand(run(program, self.file) == self.decoder_output, "another sum than through pkg-config")

    def openmp(self):
        probe = os.path.join(self.folder, "probe.c")
        with open(probe, "w", encoding="ascii") as f:
            f.write("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }\n")
        if subprocess.run([*self.cc, "-fopenmp", probe, "-o", probe + ".out"],
                          stderr=subprocess.DEVNULL).returncode != 0:
            return "the compiler comes without OpenMP"
        run(self.compiled(self.cc, "openmp.c", ["-fopenmp", *self.shared(self.prefix)], "openmp"))
        return None

    def python(self):
        env = {**os.environ, "NQ_LIBRARY": os.path.join(find(self.prefix, "libnq.so"), "libnq.so")}
        run(sys.executable, os.path.join(HERE, "python_module.py"),
            os.path.join(self.source, "examples", "python"), self.file,
            self.decoder_output.split()[-1], env=env)

    def freestanding(self):
        if platform.machine() != "x86_64":
            return "the program's start is written for x86-64"
        with open(self.file, "rb") as f:
            numbers = ",".join(str(byte) for byte in f.read())
        with open(os.path.join(self.folder, "file.h"), "w", encoding="ascii") as f:
            f.write(f"static const unsigned char file_bytes[] = {{{numbers}}};\n")
            f.write(f"#define EXPECTED_SUM {self.decoder_output.split()[-1]}\n")
        program = os.path.join(self.folder, "freestanding")
        run(*self.cc, "-std=c11", *WARNINGS, "-ffreestanding", "-fno-builtin", "-fno-stack-protector",
            "-nostdlib", "-static", "-I", self.folder, os.path.join(HERE, "freestanding.c"), "-o",
            program, *flags(self.prefix, "nqdec"))
        run(program)
        return None

    def subproject(self):
        host = os.path.join(self.folder, "host")
        inside = os.path.join(host, "subprojects", "libnq")
        shutil.copytree(os.path.join(HERE, "subproject"), host)
        shutil.copy(os.path.join(HERE, "consumer.c"), host)
        for name in ("lib", "include", "pkgconfig"):
            shutil.copytree(os.path.join(self.source, name), os.path.join(inside, name))
        for name in ("meson.build", "meson_options.txt"):
            shutil.copy(os.path.join(self.source, name), inside)
        build = os.path.join(host, "build")
        env = {**os.environ, "CC": shlex.join(self.cc)}
        run(self.meson, "setup", build, host, "--werror", "--wrap-mode=nodownload", env=env)
        run(self.meson, "compile", "-C", build)
        run(os.path.join(build, "consumer"), self.file)

    def cmake(self):
        if not shutil.which("cmake"):
            return "cmake is not installed"
        moved = os.path.join(self.folder, "moved here", "prefix")
        shutil.copytree(self.prefix, moved, symlinks=True)
        build = os.path.join(self.folder, "cmake")
        run("cmake", "-S", os.path.join(HERE, "cmake"), "-B", build, f"-DCMAKE_PREFIX_PATH={moved}",
            f"-DCMAKE_C_COMPILER={self.cc[-1]}", f"-DCMAKE_CXX_COMPILER={self.cxx[-1]}")
        run("cmake", "--build", build)
        run(os.path.join(build, "consumer"), self.file)
        run(os.path.join(build, "consumer_cpp"))
        run(os.path.join(build, "decoder_only"), self.file)
        return None

    def soname(self):
        library = os.path.join(find(self.prefix, "libnq.so"), "libnq.so")
        if "libnq.so.0]" not in run("readelf", "-d", library):
            raise Failed("the soname is not libnq.so.0")


def main():
    names = ["soname", "c_shared", "cpp_shared", "c_static", "cpp_static", "decoder_only", "plain_cc",
             "openmp", "python",
             "freestanding", "cmake", "subproject"]
    print(f"1..{len(names)}")
    good = True
    with tempfile.TemporaryDirectory(prefix="nq-consumers-") as folder:
        consumers = Consumers(folder, *sys.argv[1:])
        for number, name in enumerate(names, 1):
            try:
                skipped = getattr(consumers, name)()
                print(f"ok {number} - {name}" + (f" # SKIP {skipped}" if skipped else ""))
            except Failed as failure:
                good = False
                print(f"not ok {number} - {name}")
                print("".join(f"# {line}\n" for line in str(failure).splitlines()), end="")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
