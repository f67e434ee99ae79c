"""--density: which weights become zero, and that the error counts them."""

from files import f16, f32, gauss, parse, safetensors, values
from harness import demand
from test_targets import laplace


def back(nq, *options):
    """Weights that come back, by name, and the report."""
    report = nq.json("compress", "m.safetensors", "--force", *options)
    nq.run("decompress", "m.nq", "-o", "back.safetensors", "--force")
    return {t[0]: values(t[1], t[3]) for t in parse(nq.read("back.safetensors"))[0]}, report


def largest(scores, density):
    """Places of the largest scores, and the least of these."""
    order = sorted(range(len(scores)), key=lambda i: -scores[i])[:int(density * len(scores) + 0.5)]
    return set(order), scores[order[-1]]


def check_the_largest_stay(nq):
    """Over all tensors together, and one codebook: what is pruned is one level, near 0."""
    a, b = gauss(5000, 1), [3 * w for w in laplace(5000, 2)]
    nq.write("m.safetensors", safetensors([("a", "F32", [5000], f32(a)), ("b", "F32", [5000], f32(b))]))
    a, b = values("F32", f32(a)), values("F32", f32(b))
    for density in (0.5, 0.1, 0.001):
        kept, least = largest([abs(w) for w in a + b], density)
        out, report = back(nq, "--step", "0.001", "--density", str(density), "--min-elems", "0")
        for i, (w, v) in enumerate(zip(a + b, out["a"] + out["b"])):
            demand(abs(v - (w if i in kept else 0)) <= 0.001, f"density {density}: {w} became {v}")
        error = sum((w - v) ** 2 for w, v in zip(a + b, out["a"] + out["b"])) / 10_000
        demand(abs(report["mse"] - error) <= 1e-9 * error, f"mse {report['mse']}, not {error}")


def check_saliency_with_importance(nq):
    w = gauss(4000, 3)
    h = [10 ** (3 * x) for x in gauss(4000, 4, 0.5)]
    nq.write("m.safetensors", safetensors([("w", "F32", [4000], f32(w))]))
    nq.write("h.safetensors", safetensors([("w", "F32", [4000], f32(h))]))
    w, h = values("F32", f32(w)), values("F32", f32(h))
    kept, _ = largest([x * x * y for x, y in zip(w, h)], 0.25)
    out, _ = back(nq, "--step", "0.0005", "--density", "0.25", "--importance", "h.safetensors")
    for i, (x, v) in enumerate(zip(w, out["w"])):
        demand(abs(v - (x if i in kept else 0)) <= 0.0005, f"{x} of importance {h[i]} became {v}")


def check_each_by_itself(nq):
    """A tensor with a density of its own does not compete with others; scope tensor: none does."""
    small, large = gauss(3000, 5, 0.01), gauss(3000, 6, 1.0)
    nq.write("m.safetensors", safetensors([("s", "F32", [3000], f32(small)), ("l", "F32", [3000], f32(large))]))
    zeros = lambda out: [sum(abs(v) < 1e-9 for v in out[name]) for name in "sl"]
    out, _ = back(nq, "--step", "0.002", "--density", "0.5", "--level", "grid")
    demand(zeros(out)[0] > 2800 and sum(zeros(out)) == 3000, f"together: {zeros(out)} zeros")
    out, _ = back(nq, "--step", "0.000001", "--density", "0.5", "--level", "grid", "--scope", "tensor")
    demand(zeros(out) == [1500, 1500], f"apart: {zeros(out)} zeros")
    out, _ = back(nq, "--step", "0.00001", "--rule", "s:density=0.2", "--level", "grid", "--method", "uniform")
    demand(2400 <= zeros(out)[0] <= 2405 and zeros(out)[1] < 5, f"a rule: {zeros(out)} zeros")


def check_all_methods_and_targets(nq):
    nq.write("m.safetensors", safetensors([("w", "F32", [100, 400], f32(gauss(40_000, 7))),
                                           ("v", "F16", [9000], f16([abs(x) + 0.01 for x in gauss(9000, 8)]))]))
    for method in ("uniform", "kmeans", "ecsq"):
        for target in ("1.5dB", "0.6bpw"):
            out, report = back(nq, "--density", "0.08", "--method", method, "--target", target)
            demand(report["sqnr_db"] >= 1.5 if "dB" in target else report["bits_per_weight"] <= 0.6,
                   f"{method}, {target}: {report['sqnr_db']} dB, {report['bits_per_weight']} bits")
    nq.run("compress", "m.safetensors", "-o", "x.nq", "--density", "0.01", "--target", "30dB", expected=1)


def check_equal_magnitudes(nq):
    """They stay or go together."""
    nq.write("m.safetensors", safetensors([("w", "F32", [2000], f32([1.0, -1.0, 0.5, 2.0] * 500))]))
    out, _ = back(nq, "--step", "0.25", "--density", "0.3")
    demand(out["w"] == [1.0, -1.0, 0.0, 2.0] * 500, f"{out['w'][:4]}")
