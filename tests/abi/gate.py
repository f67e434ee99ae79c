#!/usr/bin/env python3
"""Whether programs that were built against an older libnq still run with this one.

usage: gate.py [--update] SOURCE_ROOT BUILD_FOLDER

Builds the library of SOURCE_ROOT with debugging information, and demands, each by itself:

  symbols  version script, headers and library name the same functions (tests/checks/symbols.py)
  abidiff  types and prototypes are those of SOURCE_ROOT/tests/abi/libnq.abi, or compatible with them
  ledger   every size, offset and constant in ledger.txt is as it was, and every new one is in it;
           structs may only grow, at their end
  program  old_program.c, compiled with the frozen headers in frozen.h, does its work with the
           library

--update appends to the ledger and writes libnq.abi and frozen.h anew; it refuses what would break a
program. (Before the first release there may be reasons to: delete the three files' contents first,
and say so in NEWS.md.) Types are compared for 64-bit machines. Prints a line for each check. abidiff is
left out, with a message, where abidw is not installed; --update needs it.
"""

import os
import re
import shutil
import subprocess
import sys

ORDER = ["export", "version", "status", "types"]  # headers that others include


class Broken(Exception):
    pass


class NotInLedger(Broken):
    pass


class Skipped(Exception):
    pass


def run(*command, good=(0,), **options):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, **options)
    if result.returncode not in good:
        raise Broken(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}")
    return result


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as f:
        return f.read()


def write(text, *path):
    with open(os.path.join(*path), "w", encoding="utf-8") as f:
        f.write(text)


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def headers(root):
    """The public headers as one text, each once, without comments and without each other."""
    names = sorted(n[:-2] for n in os.listdir(os.path.join(root, "include", "nq"))
                   if n.endswith(".h") and n != "nq.h")
    names.sort(key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
    rank = {name: i for i, name in enumerate(names)}
    texts = {n: without_comments(read(root, "include", "nq", n + ".h")) for n in names}
    done, order = set(), []

    def place(name):
        if name not in done:
            done.add(name)
            for other in re.findall(r'#include "(\w+)\.h"', texts[name]):
                place(other)
            order.append(name)

    for name in sorted(names, key=rank.get):
        place(name)
    text = "\n".join(re.sub(r'#include ".*', "", texts[name]) for name in order)
    return re.sub(r"\n{2,}", "\n", re.sub(r"[ \t]+$", "", text, flags=re.M)).lstrip()


class Gate:
    def __init__(self, root, build):
        self.root, self.build = os.path.abspath(root), os.path.abspath(build)
        self.folder = os.path.join(self.root, "tests", "abi")
        self.headers = headers(self.root)
        self.shared = os.path.join(self.build, "lib", "libnq.so.0")

    def make(self):
        if not os.path.exists(os.path.join(self.build, "build.ninja")):
            run("meson", "setup", self.build, self.root, "-Dtests=disabled", "--buildtype=debug")
        shared = re.search(r"^build (lib/libnq\.so\.[\d.]+):", read(self.build, "build.ninja"), re.M)
        run("ninja", "-C", self.build, shared.group(1), "lib/libnq.a", "lib/libnqdec.a")

    # ---- Checks -------------------------------------------------------------------------------

    def symbols(self):
        lib = os.path.join(self.build, "lib")
        run(sys.executable, os.path.join(self.root, "tests", "checks", "symbols.py"), self.root, "nm",
            self.shared, os.path.join(lib, "libnq.a"), os.path.join(lib, "libnqdec.a"))

    def abidiff(self):
        """Functions may come, and structs grow at their end: whether they do that is the ledger's."""
        if not shutil.which("abidw"):
            raise Skipped("abidw is not installed (Debian: abigail-tools)")
        now, grown = (os.path.join(self.build, n) for n in ("libnq.abi", "grown.abignore"))
        self.dump(now)
        write("[suppress_type]\ntype_kind = struct\nhas_data_member_inserted_at = end\n", grown)
        result = run("abidiff", "--no-show-locs", "--no-added-syms", "--suppressions", grown,
                     os.path.join(self.folder, "libnq.abi"), now, good=range(16))
        if result.returncode != 0:
            raise Broken(f"abidiff: exit {result.returncode}\n{result.stdout}")

    def dump(self, path):
        handles = re.findall(r"typedef struct (\w+) \1;", self.headers)
        suppressed = os.path.join(self.build, "private.abignore")
        rules = ["name_regexp = ^(nqi_|_|pthread_)", *(f"name = {handle}" for handle in handles)]
        write("".join(f"[suppress_type]\n{rule}\ndrop = yes\n" for rule in rules), suppressed)
        run("abidw", "--headers-dir", os.path.join(self.root, "include", "nq"), "--no-corpus-path",
            "--no-comp-dir-path", "--no-show-locs", "--exported-interfaces-only",
            "--drop-private-types", "--suppressions", suppressed,
            "--out-file", path, self.shared)

    def ledger(self):
        old, new = self.recorded(), self.measured()
        for key, values in old.items():
            if key not in new:
                raise Broken(f"{key} is gone")
            if key.startswith("size ") and int(new[key]) < int(values[-1]):
                raise Broken(f"{key}: {new[key]}, and was {values[-1]}")
            if not key.startswith("size ") and new[key] != values[-1]:
                raise Broken(f"{key}: {new[key]}, and was {values[-1]}")
        self.check_growth(old, new)
        late = [key for key, value in new.items() if key not in old or value != old[key][-1]]
        if late:
            raise NotInLedger("not in the ledger yet (--update appends): " + ", ".join(late))

    @staticmethod
    def check_growth(old, new):
        """A member that is new lies behind all that was there."""
        for key, value in new.items():
            if key.startswith("member ") and key not in old:
                struct = key.split()[1].split(".")[0]
                if f"size {struct}" in old and int(value.split("+")[0]) < int(old[f"size {struct}"][-1]):
                    raise Broken(f"{key}: {value}, inside the {old[f'size {struct}'][-1]} bytes of before")

    def program(self):
        program = os.path.join(self.build, "old_program")
        run("cc", "-std=c11", "-Wall", "-Werror", "-O1", "-I", self.folder,
            os.path.join(self.folder, "old_program.c"), "-o", program, self.shared, "-lm",
            "-Wl,-rpath," + os.path.dirname(self.shared))
        run(program)

    # ---- The ledger ---------------------------------------------------------------------------

    def recorded(self):
        """Key: its values, oldest first; only sizes have several."""
        values = {}
        for line in read(self.folder, "ledger.txt").splitlines():
            if line and not line.startswith("#"):
                key, value = line.rsplit(" = ", 1)
                values.setdefault(key, []).append(value)
        return values

    def measured(self):
        """Compiles a program that prints every size, offset and constant of the headers."""
        lines = []
        for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", self.headers, flags=re.S):
            lines.append(f'print("size {name}", sizeof({name}));')
            for member in re.findall(r"(\w+)(?:\[\w+\])?\s*;", body):
                lines.append(f'printf("member {name}.{member} = %zu+%zu\\n", offsetof({name}, {member}), '
                             f'sizeof((({name} *)0)->{member}));')
        for body in re.findall(r"\benum(?: \w+)? \{(.*?)\}", self.headers, flags=re.S):
            lines += [f'print("value {n}", {n});'
                      for n in re.findall(r"^\s*(NQ_\w+)", body.replace(",", "\n"), flags=re.M)
                      if not n.endswith("_COUNT")]
        for name in re.findall(r"^#define (NQ_\w+) +(?:\(?UINT|\d|\(1)", self.headers, flags=re.M):
            if not name.startswith("NQ_VERSION"):
                lines.append(f'print("value {name}", {name});')
        source = os.path.join(self.build, "ledger.c")
        write("#include <stddef.h>\n#include <stdio.h>\n" + self.headers +
              "\n#define print(what, value) printf(what \" = %lld\\n\", (long long)(value))\n"
              "int main(void)\n{\n" + "\n".join(dict.fromkeys(lines)) + "\nreturn 0;\n}\n", source)
        run("cc", "-std=c11", source, "-o", source[:-2])
        output = run(source[:-2]).stdout
        return dict(line.rsplit(" = ", 1) for line in output.splitlines())

    def update(self):
        old, new = self.recorded(), self.measured()
        try:
            self.ledger()
        except NotInLedger:
            pass
        if os.path.exists(os.path.join(self.folder, "libnq.abi")):
            self.abidiff()
        with open(os.path.join(self.folder, "ledger.txt"), "a", encoding="utf-8") as f:
            for key, value in new.items():
                if value not in old.get(key, [])[-1:]:
                    f.write(f"{key} = {value}\n")
        self.dump(os.path.join(self.folder, "libnq.abi"))
        write("/* The public headers as they were when the baseline was made: see gate.py. */\n" +
              self.headers, self.folder, "frozen.h")


CHECKS = ["symbols", "abidiff", "ledger", "program"]


def check(gate):
    """Pairs of a check and what is wrong; none for a check that cannot be done here."""
    found = []
    for name in CHECKS:
        try:
            getattr(gate, name)()
            found.append((name, None))
        except Broken as problem:
            found.append((name, str(problem)))
        except Skipped as why:
            print(f"skipped {name}: {why}")
    return found


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    gate = Gate(*arguments)
    gate.make()
    if "--update" in sys.argv:
        if not shutil.which("abidw"):
            print("the baseline needs abidw (Debian: abigail-tools)")
            return 1
        gate.update()
    found = check(gate)
    for name, problem in found:
        print(f"{'ok' if problem is None else 'not ok'} - {name}")
        if problem:
            print("".join(f"# {line}\n" for line in problem.splitlines()), end="")
    return 1 if any(problem for _, problem in found) else 0


if __name__ == "__main__":
    sys.exit(main())
