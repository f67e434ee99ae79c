"""What every test of the program uses: running it, and telling what happened as TAP.

A test is a function check_...(nq, folder) in a module of this folder: `nq` runs the program, `folder`
is empty and its own. It raises Failed, by way of demand(), when something is not as the
program's manual has it.
"""

import json
import os
import shutil
import subprocess
import tempfile
import traceback


class Failed(Exception):
    """Something is not as it must be; its text says what."""


class Skipped(Exception):
    """This machine cannot do it; its text says why."""


def demand(condition, message):
    if not condition:
        raise Failed(message)


class Nq:
    """The program, run in a folder."""

    def __init__(self, program, folder, sanitized=False):
        self.program, self.folder, self.sanitized = program, folder, sanitized

    def start(self, *arguments, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen([self.program, *arguments], cwd=self.folder, **options)

    def run(self, *arguments, expected=0, data=None, **options):
        """Runs to the end and demands an exit code (a negative one is a signal). Returns what was
        printed: bytes with the attributes `err` for standard error, as text."""
        if data is not None:
            options["stdin"] = subprocess.PIPE
        process = self.start(*arguments, **options)
        out, err = process.communicate(data)
        text = (err or b"").decode(errors="replace")
        shown = " ".join(a if isinstance(a, str) else repr(a) for a in arguments)
        demand(process.returncode == expected,
               f"nq {shown}: exit {process.returncode}, not {expected}: {text.strip()}")
        result = Output(out or b"")
        result.err = text
        if expected > 1 and "stderr" not in options:
            demand(text.startswith("nq: ") and text.endswith("\n"),
                   f"nq {shown}: exit {expected} without a message: {text!r}")
        return result

    def json(self, *arguments, **options):
        output = self.run(*arguments, "--json", **options)
        try:
            return json.loads(output)
        except ValueError:
            raise Failed(f"nq {' '.join(arguments)} --json: no JSON: {output[:80]!r}") from None

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), "rb") as f:
            return f.read()

    def write(self, name, data):
        with open(self.path(name), "wb") as f:
            f.write(data)
        return name

    def files(self):
        return sorted(os.listdir(self.folder))

    def copy(self, source, name):
        shutil.copy(self.path(source), self.path(name))


class Output(bytes):
    err = ""


def run_module(module, program, sanitized):
    """Runs all tests of a module; returns an exit code."""
    checks = [getattr(module, name) for name in dir(module) if name.startswith("check_")]
    checks.sort(key=lambda check: check.__code__.co_firstlineno)
    print(f"1..{len(checks)}")
    good = bool(checks)
    for number, check in enumerate(checks, 1):
        title = f"{number} - {check.__name__.removeprefix('check_').replace('_', ' ')}"
        with tempfile.TemporaryDirectory(prefix="nq-cli-") as folder:
            try:
                check(Nq(program, folder, sanitized))
                print(f"ok {title}", flush=True)
            except Skipped as reason:
                print(f"ok {title} # SKIP {reason}", flush=True)
            except Exception as problem:
                good = False
                lines = str(problem) if isinstance(problem, Failed) else traceback.format_exc()
                print(f"not ok {title}")
                print("".join(f"# {line}\n" for line in lines.splitlines()), end="", flush=True)
    return 0 if good else 1
