"""Calls that fail: each call of the system that the program makes, and each allocation, one after
another (faults.c). The program ends with the right code and says why, or gets by and has done what
it was asked for; nothing half written is left, and no other file has changed."""

import errno
import os
import signal

from files import f32, gauss, safetensors
from harness import Skipped, demand

LOG = "calls.log"
STREAM = "stdout"

# What goes wrong with each call. A signal in front of it is tried for all that are listed here.
FAILURES = {
    "read": (errno.EIO,), "write": (errno.ENOSPC, errno.EIO), "pwrite": (errno.ENOSPC, errno.EIO),
    "open": (errno.EMFILE,), "close": (errno.EIO,), "mkstemp": (errno.EACCES,),
    "rename": (errno.EIO,), "link": (errno.EPERM, errno.EIO), "unlink": (errno.EIO,),
    "fsync": (errno.EIO,), "fstat": (errno.EIO,), "lseek": (errno.EIO,), "mmap": (errno.ENOMEM,),
    "fchmod": (errno.EPERM,), "malloc": (errno.ENOMEM,), "pthread_create": (errno.EAGAIN,),
}
FATAL = ("read", "write", "pwrite", "mkstemp", "rename")  # no way around these
INTERRUPTED = ("read", "write", "pwrite")  # may transfer less, or nothing this time


class Work:
    """A command, the files that it makes, and what comes out of it when nothing fails."""

    def __init__(self, nq, arguments, output=None, data=None, code=0):
        self.nq, self.arguments, self.output, self.data, self.code = nq, arguments, output, data, code
        self.before = {name: nq.read(name) for name in nq.files()}
        self.counts = {}
        self.result, self.made = self.run(LOG=nq.path(LOG))
        with open(nq.path(LOG), encoding="ascii") as log:
            self.counts = {name: int(n) for name, n in map(str.split, log)}
        os.remove(nq.path(LOG))
        self.restore()
        demand(self.result == code, f"{arguments}: exit {self.result} with nothing failing")

    def run(self, **faults):
        """Exit code, and the output: of the file or of standard output."""
        environment = {**os.environ, "LD_PRELOAD": os.environ["NQ_FAULTS"], "TMPDIR": self.nq.folder}
        for name, value in faults.items():
            environment["NQ_FAULT" if name == "FAULT" else "NQ_FAULT_" + name] = value
        process = self.nq.start(*self.arguments, env=environment, **({"stdin": -1} if self.data else {}))
        out, err = process.communicate(self.data)
        self.err = err.decode()
        made = out
        if self.output and os.path.exists(self.nq.path(self.output)):
            made = self.nq.read(self.output)
        return process.returncode, made

    def check(self, fault, codes):
        """With this fault the program ends with one of the codes, and leaves everything in order."""
        code, made = self.run(FAULT=fault)
        what = f"{' '.join(self.arguments)} with {fault}: exit {code}"
        demand(code in codes, f"{what}, not {codes}: {self.err}")
        if code == self.code:
            demand(made == self.made, f"{what}, and the output is wrong")
        elif code > 0:
            demand(self.err.startswith("nq: ") and self.err.endswith("\n"), f"{what}: {self.err!r}")
        now = {name: self.nq.read(name) for name in self.nq.files()}
        if fault.startswith("unlink:"):  # then a temporary file may stay
            now = {name: data for name, data in now.items() if name in self.before or name == self.output}
        # When the file is there, a signal may still come, and memory for the report be missing.
        whole = {**self.before, self.output: self.made} if self.output else self.before
        is_late = code < 0 or fault.startswith("malloc:")
        allowed = [whole] if code == self.code else [self.before, whole] if is_late else [self.before]
        demand(now in allowed, f"{what}, leaves {sorted(now)}")
        self.restore()

    def restore(self):
        for name in set(self.nq.files()) - self.before.keys():
            os.remove(self.nq.path(name))
        for name, data in self.before.items():
            if self.nq.read(name) != data:
                self.nq.write(name, data)

    def sweep(self):
        n = 0
        for call, failures in FAILURES.items():
            for k in range(1, self.counts[call] + 1):
                for failure in failures:
                    # The folder is made durable, and temporary names given back, where that is possible.
                    resource = 6 if call in ("malloc", "pthread_create") else 3
                    codes = (3,) if call in FATAL else (self.code, resource)
                    self.check(f"{call}:{k}:{failure}", codes)
                    n += 1
                if call in INTERRUPTED:
                    self.check(f"{call}:{k}:{errno.EINTR}", (self.code,))
                    self.check(f"{call}:{k}:short", (self.code,))
                    n += 2
                if call not in ("malloc", "pthread_create"):
                    self.check(f"{call}:{k}:s{signal.SIGTERM.value}", (-signal.SIGTERM,))
                    n += 1
        for call in INTERRUPTED:
            if self.counts[call] and self.counts[call] * len(self.made) < 100000:
                self.check(f"{call}:1:short:on", (self.code,))
                n += 1
        return n


def model(nq):
    """A file that takes several writes: two tensors, several blocks, one of them stored."""
    tensors = [("a", "F32", [3000], f32(gauss(3000))), ("b", "F32", [1200], f32(gauss(1200, 3))),
               ("i", "I64", [200], bytes(range(200)) * 8)]
    return nq.write("m.safetensors", safetensors(tensors, {"key": "value"}))


def sweep(nq, *works):
    if "NQ_FAULTS" not in os.environ:
        raise Skipped("needs a library that is loaded in front of the C library's, as on Linux")
    if nq.sanitized:
        raise Skipped("sanitizers want to be the first library themselves")
    points = sum(Work(nq, *work).sweep() for work in works)
    demand(points > 20, "hardly anything was tried")
    print(f"# {points} faults")


COMPRESS = ["compress", "m.safetensors", "--step", "0.02", "--threads", "1"]


def check_compress(nq):
    model(nq)
    sweep(nq, (COMPRESS, "m.nq"))


def check_compress_other_methods(nq):
    model(nq)
    sweep(nq, (["compress", "m.safetensors", "--method", "kmeans", "--levels", "6", "--threads", "1",
                "--codec", "huffman", "--scope", "tensor"], "m.nq"),
          (["compress", "m.safetensors", "--method", "ecsq", "--lambda", "0.001", "--threads", "1",
            "--codec", "fixed"], "m.nq"))


def check_compress_over_an_old_file(nq):
    model(nq)
    nq.write("m.nq", b"precious")
    sweep(nq, ([*COMPRESS, "--force"], "m.nq"))


def check_compress_by_threads(nq):
    """Threads that cannot be had are done without, or that is said."""
    model(nq)
    sweep(nq, ([*COMPRESS[:-1], "3"], "m.nq"))


def check_decompress(nq):
    model(nq)
    nq.run(*COMPRESS)
    os.remove(nq.path("m.safetensors"))
    sweep(nq, (["decompress", "m.nq", "--threads", "1"], "m.safetensors"))


def check_streams(nq):
    data = nq.read(model(nq))
    os.remove(nq.path("m.safetensors"))
    sweep(nq, (["compress", "-", "-o", "-", *COMPRESS[2:]], None, data))
    nq.write("m.safetensors", data)
    nq.run(*COMPRESS)
    compressed = nq.read("m.nq")
    for name in nq.files():
        os.remove(nq.path(name))
    sweep(nq, (["decompress", "-", "-o", "-", "--threads", "1"], None, compressed))


def check_reading_alone(nq):
    model(nq)
    nq.run(*COMPRESS)
    sweep(nq, (["verify", "m.nq", "--threads", "1"],), (["info", "m.nq", "--json"],),
          (["compare", "m.nq", "m.safetensors", "--json", "--threads", "1"], None, None, 1))
