"""Runs `lenet` and `nq` for the experiment, and remembers what came of it: a point is a way to
compress a network, the size of the file, and the accuracy on the images held out of training. What was
measured once is not measured again."""

import array
import hashlib
import json
import os
import subprocess

HELD_OUT = "5000"


class Lab:
    def __init__(self, lenet, nq, images, folder):
        self.lenet, self.nq, self.images, self.folder = lenet, nq, images, folder
        self.files = os.path.join(folder, "points")
        os.makedirs(self.files, exist_ok=True)
        self.log = os.path.join(folder, "points.jsonl")
        self.known = {}
        if os.path.exists(self.log):
            with open(self.log, encoding="utf-8") as lines:
                for line in lines:
                    entry = json.loads(line)
                    self.known[entry["key"]] = entry["value"]

    def remember(self, key, measure):
        if key not in self.known:
            self.known[key] = measure()
            with open(self.log, "a", encoding="utf-8") as lines:
                lines.write(json.dumps({"key": key, "value": self.known[key]}) + "\n")
        return self.known[key]

    @staticmethod
    def run(*command):
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)
        if result.returncode != 0:
            raise SystemExit(f"{' '.join(command)}: exit {result.returncode}: "
                             f"{result.stderr.strip()}")
        return result.stdout

    def network(self, name):
        return os.path.join(self.folder, name + ".safetensors")

    def importance(self, network, kind):
        """The path of a network's importance, gathered at its first use."""
        path = os.path.join(self.folder, f"{network}-{kind}.safetensors")
        if not os.path.exists(path):
            how = (["--moment", self.network(network + "-moment")] if kind == "adam"
                   else ["--kind", kind])
            self.run(self.lenet, "importance", path + ".part", self.network(network), self.images,
                     *how)
            os.rename(path + ".part", path)
        return path

    def accuracy(self, path, held_out=True):
        """In percent: on what was held out, or on the test images."""
        how = ["--hold-out", HELD_OUT] if held_out else []
        return float(self.run(self.lenet, "eval", path, self.images, *how).split()[0])

    def density(self, name):
        """Part of the weights that is not zero, biases not counted."""
        with open(self.network(name), "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header, data = json.loads(file.read(size)), file.read()
        kept = count = 0
        for tensor in header.values():
            if len(tensor.get("shape", [])) > 1:
                values = array.array("f", data[slice(*tensor["data_offsets"])])
                kept += sum(1 for value in values if value)
                count += len(values)
        return kept / count

    def compress(self, path, point):
        importance = []
        if point["importance"]:
            importance = ["--importance", self.importance(point["network"], point["importance"])]
        options = [*point["options"], "--codec", point["codec"], *importance]
        source = self.network(point["network"])
        if point["over"] == "survivors":
            self.run(self.lenet, "survivors", source, path, *options)
        else:
            self.run(self.nq, "compress", source, "-o", path, "--force", "--quiet", "--min-elems",
                     "0", *options)

    def path(self, point):
        key = json.dumps(point, sort_keys=True)
        return os.path.join(self.files, hashlib.sha256(key.encode()).hexdigest()[:20] + ".nq")

    def build(self, point):
        """The path of the point's file."""
        path = self.path(point)
        if os.path.exists(path):
            return path
        if point["tuned"]:
            plain = self.build({**point, "tuned": 0})
            self.run(self.lenet, "tune", plain, path + ".part", self.images, "--hold-out", HELD_OUT,
                     "--steps", str(point["tuned"]))
        else:
            self.compress(path + ".part", point)
        os.rename(path + ".part", path)
        return path

    def measure(self, point):
        """The point with its size, ratio, and accuracy on what was held out."""
        def look():
            path = self.build(point)
            return {"bytes": os.path.getsize(path), "held_out": self.accuracy(path)}
        found = self.remember(json.dumps(point, sort_keys=True), look)
        original = os.path.getsize(self.network(point["network"]))
        return {**point, **found, "ratio": original / found["bytes"]}

    def size(self, point):
        """The same without accuracy: for codes, which change none."""
        path = self.build(point)
        return os.path.getsize(path)

    def judge(self, path):
        """On the test images."""
        with open(path, "rb") as file:
            key = "test " + hashlib.sha256(file.read()).hexdigest()
        return self.remember(key, lambda: self.accuracy(path, held_out=False))
