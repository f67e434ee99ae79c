"""Where output goes: nothing is overwritten, nothing unfinished is left, whatever happens on the way."""

import os
import pty
import resource
import signal
import stat
import subprocess
import time

from files import f32, gauss, parse, safetensors
from harness import Skipped, demand

STEP = ["--step", "0.01"]


def model(nq, name="m.safetensors", n=3000):
    return nq.write(name, safetensors([("a", "F32", [n], f32(gauss(n)))]))


def big_model(nq, n_megabytes=96):
    """Takes a while to compress."""
    block = f32(gauss(1 << 18))
    n = n_megabytes << 20
    nq.write("m.safetensors", safetensors([("a", "F32", [n // 4], block * (n // len(block)))]))


def check_default_names(nq):
    for source, target in (("m.safetensors", "m.nq"), ("m.x.safetensors", "m.x.nq"), ("m", "m.nq"),
                           ("m.bin", "m.bin.nq"), (".safetensors", ".safetensors.nq")):
        model(nq, source)
        nq.run("compress", source, *STEP)
        demand(nq.files() == sorted([source, target]), f"{source}: {nq.files()}")
        os.remove(nq.path(source))
        os.remove(nq.path(target))
    model(nq)
    nq.run("compress", "m.safetensors", *STEP)
    os.remove(nq.path("m.safetensors"))
    for source, target in (("m.nq", "m.safetensors"), ("m", "m.safetensors"), ("m.x", "m.x.safetensors")):
        os.rename(nq.path("m.nq"), nq.path(source))
        nq.run("decompress", source)
        demand(nq.files() == sorted([source, target]), f"{source}: {nq.files()}")
        os.remove(nq.path(target))
        os.rename(nq.path(source), nq.path("m.nq"))
    os.mkdir(nq.path("sub"))
    model(nq, "sub/w.safetensors")
    nq.run("compress", "sub/w.safetensors", *STEP)
    demand(os.path.exists(nq.path("sub/w.nq")), "not beside the input")


def check_nothing_is_overwritten(nq):
    model(nq)
    nq.write("m.nq", b"precious")
    demand("--force" in nq.run("compress", "m.safetensors", *STEP, expected=3).err, "advice")
    demand(nq.read("m.nq") == b"precious", "overwritten")
    nq.run("compress", "m.safetensors", *STEP, "--force")
    compressed = nq.read("m.nq")
    demand(compressed != b"precious", "--force")
    before = nq.read("m.safetensors")
    nq.run("decompress", "m.nq", expected=3)
    demand(nq.read("m.safetensors") == before, "overwritten by decompress")
    nq.run("decompress", "m.nq", "--force")
    demand(nq.read("m.safetensors") != before, "decompress --force")
    demand(nq.files() == ["m.nq", "m.safetensors"], "files left")


def check_a_failure_leaves_the_old_file(nq):
    nan = float("nan")
    nq.write("m.safetensors", safetensors([("a", "F32", [2000], f32([nan] * 2000))]))
    nq.write("m.nq", b"precious")
    nq.run("compress", "m.safetensors", *STEP, "--force", expected=5)
    demand(nq.read("m.nq") == b"precious", "destroyed by a failure")
    demand(nq.files() == ["m.nq", "m.safetensors"], "files left")


def check_output_is_no_input(nq):
    model(nq)
    before = nq.read("m.safetensors")
    nq.run("compress", "m.safetensors", *STEP, "-o", "m.safetensors", "--force", expected=2)
    os.symlink("m.safetensors", nq.path("link"))
    nq.run("compress", "m.safetensors", *STEP, "-o", "link", "--force", expected=2)
    os.link(nq.path("m.safetensors"), nq.path("twin"))
    nq.run("compress", "m.safetensors", *STEP, "-o", "twin", "--force", expected=2)
    nq.run("compress", "twin", *STEP, "-o", "x.nq", "--importance", "m.safetensors", expected=5)
    demand(nq.read("m.safetensors") == before, "the input was changed")
    nq.run("compress", "m.safetensors", *STEP, "-o", "x.nq")
    nq.run("decompress", "x.nq", "-o", "x.nq", "--force", expected=2)


def check_folders(nq):
    model(nq)
    os.mkdir(nq.path("folder"))
    nq.run("compress", "m.safetensors", *STEP, "-o", "folder", "--force", expected=3)
    nq.run("compress", "m.safetensors", *STEP, "-o", "nowhere/m.nq", expected=3)
    nq.run("compress", "m.safetensors", *STEP, "-o", "folder/m.nq")
    demand(os.listdir(nq.path("folder")) == ["m.nq"], "files left")
    if os.getuid() == 0:
        return
    os.chmod(nq.path("folder"), 0o500)
    nq.run("compress", "m.safetensors", *STEP, "-o", "folder/x.nq", expected=3)
    os.chmod(nq.path("folder"), 0o700)


def check_links_are_followed(nq):
    model(nq)
    os.mkdir(nq.path("folder"))
    nq.write("folder/m.nq", b"old")
    os.symlink("folder/m.nq", nq.path("m.nq"))
    nq.run("compress", "m.safetensors", *STEP, expected=3)
    nq.run("compress", "m.safetensors", *STEP, "--force")
    demand(os.path.islink(nq.path("m.nq")), "the link was replaced")
    demand(nq.read("folder/m.nq") != b"old" and os.listdir(nq.path("folder")) == ["m.nq"], "its target")


def check_modes(nq):
    model(nq)
    nq.run("compress", "m.safetensors", *STEP, preexec_fn=lambda: os.umask(0o027))
    mode = stat.S_IMODE(os.stat(nq.path("m.nq")).st_mode)
    demand(mode == 0o640, f"mode {mode:o} under umask 027")
    os.chmod(nq.path("m.nq"), 0o604)
    nq.run("compress", "m.safetensors", *STEP, "--force")
    mode = stat.S_IMODE(os.stat(nq.path("m.nq")).st_mode)
    demand(mode == 0o604, f"mode {mode:o} of a file that was 604")


def check_standard_output(nq):
    model(nq)
    nq.run("compress", "m.safetensors", *STEP)
    out = nq.run("compress", "m.safetensors", *STEP, "-o", "-")
    demand(out == nq.read("m.nq") and out.err == "", "compress -o -")
    nq.run("decompress", "m.nq", "-o", "x.safetensors")
    out = nq.run("decompress", "m.nq", "-o", "-")
    demand(out == nq.read("x.safetensors") and out.err == "", "decompress -o -")
    with open(nq.path("appended"), "wb") as f:
        f.write(b"before")
        f.flush()
        nq.run("compress", "m.safetensors", *STEP, "-o", "-", stdout=f)
    demand(nq.read("appended") == b"before" + nq.read("m.nq"), "to where the output stands")
    nq.run("compress", "m.safetensors", *STEP, "-o", os.devnull)
    demand(stat.S_ISCHR(os.stat(os.devnull).st_mode), "the device was replaced")


def check_no_terminal_is_flooded(nq):
    model(nq)
    parent, child = pty.openpty()
    nq.run("compress", "m.safetensors", *STEP, "-o", "-", expected=2, stdout=child)
    os.close(child)
    os.close(parent)


def check_dry_run(nq):
    model(nq)
    nq.write("m.nq", b"precious")
    out = nq.run("compress", "m.safetensors", *STEP, "--dry-run")
    demand(b"bits/weight" in out, "no report")
    demand(nq.files() == ["m.nq", "m.safetensors"] and nq.read("m.nq") == b"precious", "wrote something")


# ---- Failing writes ----------------------------------------------------------------------------


def check_full_devices(nq):
    if not os.path.exists("/dev/full"):
        raise Skipped("no /dev/full")
    model(nq)
    nq.run("compress", "m.safetensors", *STEP)
    with open("/dev/full", "wb") as full:
        for arguments in (["compress", "m.safetensors", *STEP, "-o", "-"], ["decompress", "m.nq", "-o", "-"],
                          ["info", "m.nq"], ["info", "m.nq", "--json"], ["verify", "m.nq"], ["--help"],
                          ["--version"], ["compare", "m.safetensors", "m.safetensors"],
                          ["compress", "m.safetensors", *STEP, "--dry-run"]):
            nq.run(*arguments, stdout=full, expected=3)
    nq.run("compress", "m.safetensors", *STEP, "-o", "/dev/full", expected=3)
    demand(nq.files() == ["m.nq", "m.safetensors"], "files left")


def check_size_limits(nq):
    """A full disk, as far as the program can tell, at any point of writing."""
    model(nq)
    nq.run("compress", "m.safetensors", *STEP)
    size = len(nq.read("m.nq"))
    os.rename(nq.path("m.nq"), nq.path("good.nq"))
    # The thread sanitizer writes a byte of its own before the program begins, and ends it at 0.
    for limit in ((1,) if nq.sanitized else (0, 1)) + (100, size // 2, size - 1):
        limited = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))}
        nq.run("compress", "m.safetensors", *STEP, expected=3, **limited)
        nq.run("decompress", "good.nq", "-o", "x.safetensors", expected=3, **limited)
        nq.run("decompress", "good.nq", "-o", "-", expected=3, **limited)
        demand(nq.files() == ["good.nq", "m.safetensors"], f"limit {limit}: leaves {nq.files()}")
    nq.run("compress", "m.safetensors", *STEP,
           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))


def check_a_full_disk(nq):
    """A small file system of its own, where one can be mounted."""
    os.mkdir(nq.path("disk"))
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", nq.path("disk")],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    if mount.returncode != 0:
        raise Skipped("cannot mount a file system; the test of size limits stands in")
    try:
        model(nq, n=200_000)
        output = nq.run("compress", "m.safetensors", *STEP, "-o", "disk/m.nq", expected=3)
        demand("disk/m.nq" in output.err and "pace" in output.err, f"message: {output.err}")
        demand(os.listdir(nq.path("disk")) == [], "files left")
    finally:
        subprocess.run(["umount", nq.path("disk")], check=True)


def check_closed_output(nq):
    model(nq)
    nq.run("compress", "m.safetensors", *STEP)
    for arguments in (["info", "m.nq"], ["compress", "m.safetensors", *STEP, "-o", "-"]):
        nq.run(*arguments, stdout=None, preexec_fn=lambda: os.close(1), expected=3)
    nq.run("info", "m.nq", stdin=None, preexec_fn=lambda: os.close(0))


def check_a_reader_that_goes_away(nq):
    model(nq)
    nq.run("compress", "m.safetensors", *STEP)
    for arguments in (["decompress", "m.nq", "-o", "-"], ["compress", "m.safetensors", *STEP, "-o", "-"]):
        read_end, write_end = os.pipe()
        os.close(read_end)
        nq.run(*arguments, stdout=write_end, expected=-signal.SIGPIPE)
        nq.run(*arguments, stdout=write_end, expected=3, restore_signals=False)
        os.close(write_end)


# ---- Interrupts --------------------------------------------------------------------------------


def await_temporary(nq, process, before):
    """Until the output has been begun, or the program ended."""
    while process.poll() is None:
        if set(nq.files()) - before:
            return
        time.sleep(0.001)


def check_interrupts(nq):
    big_model(nq)
    before = set(nq.files())
    n_caught = 0
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT) * 2:
        process = nq.start("compress", "m.safetensors", *STEP, "--threads", "2",
                           preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
        await_temporary(nq, process, before)
        process.send_signal(number)
        process.communicate()
        if process.returncode == 0: # was faster
            os.remove(nq.path("m.nq"))
            continue
        n_caught += 1
        demand(process.returncode == -number, f"signal {number}: exit {process.returncode}")
        demand(set(nq.files()) == before, f"signal {number}: leaves {nq.files()}")
    demand(n_caught > 0, "the program was always faster")


def check_an_interrupt_keeps_the_old_file(nq):
    big_model(nq)
    nq.write("m.nq", b"precious")
    before = set(nq.files())
    process = nq.start("compress", "m.safetensors", *STEP, "--force")
    await_temporary(nq, process, before)
    process.terminate()
    process.communicate()
    demand(set(nq.files()) == before, f"leaves {nq.files()}")
    if process.returncode != 0:
        demand(nq.read("m.nq") == b"precious", "the old file is gone")


def check_ignored_hangup(nq):
    """What nohup asks for."""
    big_model(nq, 32)
    process = nq.start("compress", "m.safetensors", *STEP, restore_signals=False,
                       preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    await_temporary(nq, process, set(nq.files()))
    process.send_signal(signal.SIGHUP)
    process.communicate()
    demand(process.returncode == 0, f"exit {process.returncode}")


def check_a_file_that_appears_meanwhile(nq):
    big_model(nq)
    process = nq.start("compress", "m.safetensors", *STEP)
    await_temporary(nq, process, {"m.safetensors"})
    raced = process.poll() is None
    if raced:
        nq.write("m.nq", b"precious")
    _, err = process.communicate()
    if raced:
        demand(process.returncode == 3, f"exit {process.returncode}: {err}")
        demand(nq.read("m.nq") == b"precious", "overwritten")
    demand(nq.files() == ["m.nq", "m.safetensors"], f"leaves {nq.files()}")


def check_output_is_complete_when_it_appears(nq):
    big_model(nq, 32)
    process = nq.start("compress", "m.safetensors", *STEP)
    while process.poll() is None and "m.nq" not in nq.files():
        time.sleep(0.0005)
    nq.run("verify", "m.nq")
    process.communicate()
    demand(process.returncode == 0, "compress failed")


def check_an_input_that_shrinks(nq):
    """Cutting off a mapped file is exit 3, not a crash."""
    if nq.sanitized:
        raise Skipped("a sanitizer handles the signal")
    big_model(nq)
    process = nq.start("compress", "m.safetensors", *STEP)
    await_temporary(nq, process, {"m.safetensors"})
    os.truncate(nq.path("m.safetensors"), 4096)
    _, err = process.communicate()
    if process.returncode != 0:
        demand(process.returncode == 3 and b"shorter" in err, f"exit {process.returncode}: {err}")
        demand(nq.files() == ["m.safetensors"], f"leaves {nq.files()}")


def check_temporary_files(nq):
    """Standard input and output need TMPDIR, and leave nothing there."""
    model(nq)
    os.mkdir(nq.path("spool"))
    good, bad = ({**os.environ, "TMPDIR": nq.path(name)} for name in ("spool", "nowhere"))
    data = nq.read("m.safetensors")
    nq.run("compress", "-", *STEP, data=data, env=good)
    demand(os.listdir(nq.path("spool")) == [], "files left")
    demand("TMPDIR" in nq.run("compress", "-", *STEP, data=data, env=bad, expected=3).err, "advice")
    nq.run("compress", "m.safetensors", *STEP, "-o", "-", env=bad, expected=3)
    nq.run("compress", "m.safetensors", *STEP, env=bad)
    tensors, _ = parse(data)
    demand(len(tensors) == 1, "the test's own model")
