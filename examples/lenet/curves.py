"""What the experiment tries: curves, each a way to compress at several settings."""

LEVELS = [3, 4, 5, 6, 7, 8, 10, 12, 16, 24, 32, 48]
STEPS = [0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16, 0.2, 0.24]
FEW_LEVELS = [4, 6, 8, 12, 16, 24, 32]
FEW_STEPS = [0.03, 0.05, 0.08, 0.1, 0.12, 0.16]
RDO_STEPS = [0.03, 0.04, 0.05, 0.06, 0.07, 0.08, 0.1, 0.12]
# Prices of a bit in units of h w^2: over what pruning left, and over all weights, where zero has a
# short code and less is enough.
LAMBDAS = [10 ** (-9 + i / 4) for i in range(14)]
ZERO_LAMBDAS = [10 ** (-8.5 + i / 6) for i in range(10)]
# The same for square roots of importance.
ROOT_LAMBDAS = [10 ** (-5.75 + i / 8) for i in range(9)]

ROOT = "--importance-power 0.5"

KINDS = [None, "hessian", "newton", "fisher", "adam"]


def curve(name, network, options, settings, over="all", importance=None, codec="auto"):
    """`options` holds {} where the setting goes."""
    return {"name": name, "points": [
        {"network": network, "over": over, "importance": importance, "codec": codec, "tuned": 0,
         "options": [word.replace("{}", f"{setting:.6g}") for word in options.split()]}
        for setting in settings]}


def paper(network, importance, levels=None, steps=None, lambdas=None):
    """The paper's four methods, over the weights that pruning left, zeros as index gaps."""
    levels, steps, lambdas = levels or LEVELS, steps or STEPS, lambdas or LAMBDAS

    def survivors(name, options, settings, kind):
        return curve(name, network, options, settings, "survivors", kind, "huffman-gaps")
    return [survivors("k-means", "--levels {}", levels, None),
            survivors("Hessian-weighted k-means", "--levels {}", levels, importance),
            survivors("uniform", "--step {}", steps, importance),
            survivors("iterative ECSQ", "--lambda {}", lambdas, importance)]


def paper_layers(network, importance):
    """The same with a codebook for each layer."""
    return [{**c, "points": [{**p, "options": [*p["options"], "--scope", "tensor"]} for p in c["points"]]}
            for c in paper(network, importance, FEW_LEVELS, FEW_STEPS, LAMBDAS[2::2])]


def paper_codes(network, importance):
    """The paper's methods with a word for each weight, zero a symbol, and below a bit a weight. The
    values are those of the same settings with index gaps."""
    return [{**c, "name": f"{c['name']}, {codec}", "points": [{**p, "codec": codec} for p in c["points"]]}
            for codec in ("fixed", "huffman", "rans")
            for c in paper(network, importance, FEW_LEVELS, FEW_STEPS, LAMBDAS[2::2])]


def with_zero(network, importance, codec):
    """Zero as one more symbol, and any weight may become zero."""
    return [curve("uniform, zero a symbol", network, "--step {}", FEW_STEPS, "all", importance, codec),
            curve("uniform, rate-distortion optimal", network, "--step {} --rdo", RDO_STEPS, "all",
                  None, codec),
            curve("the same by importance", network, "--step {} --rdo", RDO_STEPS, "all", importance,
                  codec),
            curve("iterative ECSQ, zero a symbol", network, "--method ecsq --lambda {}",
                  ZERO_LAMBDAS, "all", importance, codec),
            curve("the same by the root of importance", network,
                  "--method ecsq --lambda {} " + ROOT, ROOT_LAMBDAS, "all", importance, codec)]


def scopes(network, importance):
    """All layers together, and layer by layer."""
    def rdo(name, options, kind):
        return curve(name, network, "--step {} --rdo " + options, RDO_STEPS, "all", kind)
    return [rdo("all layers together", "", None),
            rdo("all layers together, by importance", "", importance),
            rdo("all layers together, by its root", ROOT, importance),
            rdo("layer by layer, the same step", "--scope tensor", importance),
            rdo("layer by layer, equal slopes", "--scope tensor --allocate slope", importance)]


def importances(network):
    """Each kind of importance: of levels alone, and of what becomes zero as well."""
    curves = [curve("k-means, " + (kind or "none"), network, "--levels {}", FEW_LEVELS, "survivors", kind,
                    "huffman-gaps") for kind in KINDS]
    curves += [curve(kind or "none", network, "--step {} --rdo", RDO_STEPS, "all", kind)
              for kind in KINDS]
    curves.append(curve("newton, means of tensors", network,
                        "--step {} --rdo --importance-mean tensor", RDO_STEPS, "all", "newton"))
    curves.append(curve("newton, square root", network, "--step {} --rdo " + ROOT,
                        RDO_STEPS, "all", "newton"))
    return curves


def unpruned(importance):
    """The dense network, whose zeros only the quantizer makes."""
    def dense(name, options, settings, kind, codec):
        return curve(name, "dense", options, settings, "all", kind, codec)
    return [dense("k-means, Huffman", "--method kmeans --levels {}", FEW_LEVELS, None, "huffman"),
            dense("Hessian-weighted k-means, Huffman", "--method kmeans --levels {}", FEW_LEVELS,
                  importance, "huffman"),
            dense("uniform, Huffman", "--step {}", FEW_STEPS, importance, "huffman"),
            dense("uniform, rANS", "--step {}", FEW_STEPS, importance, "rans"),
            dense("iterative ECSQ, Huffman", "--method ecsq --lambda {}", ZERO_LAMBDAS,
                  importance, "huffman"),
            dense("uniform, rate-distortion optimal, rANS", "--step {} --rdo", RDO_STEPS, importance,
                  "rans")]
