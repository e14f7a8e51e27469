"""PyTorch on the CPU, eager: an honest native reference. Debian's python3-torch with libopenblas0-openmp."""
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(os.cpu_count() or 1)
GPT = dict(layers=4, width=256, heads=4, context=256, batch=4, vocabulary=8192, cached=256)


def hashes(count, seed):
    i = np.arange(count, dtype=np.uint64)
    mask = np.uint64(0xFFFFFFFF)
    h = (i * np.uint64(2654435761) + np.uint64(seed * 40503)) & mask
    h = ((h ^ (h >> np.uint64(15))) * np.uint64(2246822519)) & mask
    return h ^ (h >> np.uint64(13))


def values(shape, seed, scale=1.0):
    x = ((hashes(int(np.prod(shape)), seed) >> np.uint64(8)).astype(np.float64) / 2**23 - 1) * scale
    return torch.from_numpy(x.astype(np.float32)).reshape(shape)


def integers(count, seed, below):
    return torch.from_numpy(((hashes(count, seed) >> np.uint64(8)) % np.uint64(below)).astype(np.int64))


def digest(*tensors):
    out = []
    for x in tensors:
        x = x.detach().reshape(-1)
        out += [x.abs().mean(dtype=torch.float64).item(), x[0].item(), x[x.numel() // 2].item(), x[-1].item()]
    return out


def attend(qkv, heads):
    B, T, width = qkv.shape
    q, k, v = (part.reshape(B, T, heads, -1).transpose(1, 2) for part in qkv.chunk(3, -1))
    scores = q @ k.transpose(2, 3) / q.shape[-1] ** 0.5
    mask = torch.ones(T, T, dtype=torch.bool).triu(1)
    return (scores.masked_fill(mask, float("-inf")).softmax(-1) @ v).transpose(1, 2).reshape(B, T, width // 3)


class Plain:
    def __init__(self, f, gradients=False):
        self.f = f
        self.gradients = gradients

    def run(self, times):
        with torch.set_grad_enabled(self.gradients):
            for _ in range(times):
                self.f()

    def check(self):
        with torch.set_grad_enabled(self.gradients):
            y = self.f()
        return digest(*(y if isinstance(y, tuple) else (y,)))


def matmul(s):
    M, K, N = s["M"], s["K"], s["N"]
    ta, tb = s.get("transposeA"), s.get("transposeB")
    a, b = values([K, M] if ta else [M, K], 1), values([N, K] if tb else [K, N], 2)
    return Plain(lambda: (a.T if ta else a) @ (b.T if tb else b))


def softmax(s):
    x = values([s["rows"], s["columns"]], 1, 4)
    return Plain(lambda: x.softmax(-1))


def layernorm(s):
    n = s["columns"]
    x, w, b = values([s["rows"], n], 1), values([n], 2), values([n], 3)
    return Plain(lambda: F.layer_norm(x, [n], w, b))


def attention(s):
    qkv = values([s["B"], s["T"], 3 * s["H"] * s["D"]], 1)
    return Plain(lambda: attend(qkv, s["H"]))


def attention_backward(s):
    qkv = values([s["B"], s["T"], 3 * s["H"] * s["D"]], 1).requires_grad_()
    dy = values([s["B"], s["T"], s["H"] * s["D"]], 2)
    return Plain(lambda: torch.autograd.grad(attend(qkv, s["H"]), qkv, dy)[0], True)


def embedding_backward(s):
    dy, ids = values([s["positions"], s["columns"]], 1), integers(s["positions"], 2, s["rows"])
    return Plain(lambda: torch.zeros(s["rows"], s["columns"]).index_add_(0, ids, dy))


def cross_entropy(s):
    logits, targets = values([s["rows"], s["columns"]], 1, 4).requires_grad_(), integers(s["rows"], 2, s["columns"])

    def f():
        loss = F.cross_entropy(logits, targets)
        return loss, torch.autograd.grad(loss, logits)[0]

    return Plain(f, True)


def adamw_for(parameters):
    return torch.optim.AdamW(parameters, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)


class AdamW:
    def __init__(self, s):
        self.p = values([s["size"]], 1).requires_grad_()
        self.p.grad = values([s["size"]], 2)
        self.optimizer = adamw_for([self.p])

    def run(self, times):
        for _ in range(times):
            self.optimizer.step()

    def check(self):
        self.run(1)
        return digest(self.p)


def rounded(w, weights, by_output):
    """The values that quantised weights stand for."""
    rows = (w if by_output else w.T).double()
    groups = rows.reshape(len(rows), -1, rows.shape[1] if weights == "int8" else 32)
    extreme = groups.gather(2, groups.abs().argmax(2, keepdim=True))
    scale = (extreme.abs() / 127 if weights == "int8" else extreme / -8).float()
    low, high = (-127, 127) if weights == "int8" else (-8, 7)
    result = ((groups / scale).round().clamp(low, high).float() * scale).reshape(rows.shape)
    return (result if by_output else result.T).contiguous()


def gpt_parameters(weights="f32"):
    d, V = GPT["width"], GPT["vocabulary"]
    shapes = [("wte", [V, d]), ("wpe", [GPT["context"] + 1, d])]
    for l in range(GPT["layers"]):
        shapes += [(f"{l}.norm1", [d]), (f"{l}.norm1b", [d]), (f"{l}.qkv", [d, 3 * d]), (f"{l}.qkvb", [3 * d])]
        shapes += [(f"{l}.proj", [d, d]), (f"{l}.projb", [d]), (f"{l}.norm2", [d]), (f"{l}.norm2b", [d])]
        shapes += [(f"{l}.up", [d, 4 * d]), (f"{l}.upb", [4 * d]), (f"{l}.down", [4 * d, d]), (f"{l}.downb", [d])]
    shapes += [("norm", [d]), ("normb", [d])]
    p = {}
    for i, (name, shape) in enumerate(shapes):
        last = name.split(".")[-1]
        if last in ("norm", "norm1", "norm2"):
            p[name] = torch.ones(shape)
        elif last.endswith("b"):
            p[name] = torch.zeros(shape)
        else:
            p[name] = values(shape, 100 + i, 0.035)
            if weights != "f32" and name != "wpe":
                p[name] = rounded(p[name], weights, by_output=name == "wte")
    return p


def blocks(p, x, attention):
    d = GPT["width"]
    norm = lambda x, w, b: F.layer_norm(x, [d], w, b)
    for l in range(GPT["layers"]):
        linear = lambda h, name: h @ p[f"{l}.{name}"] + p[f"{l}.{name}b"]
        x = x + linear(attention(linear(norm(x, p[f"{l}.norm1"], p[f"{l}.norm1b"]), "qkv"), l), "proj")
        u = linear(norm(x, p[f"{l}.norm2"], p[f"{l}.norm2b"]), "up")
        x = x + linear(0.5 * u * (1 + torch.tanh(0.7978845608028654 * (u + 0.044715 * u * u * u))), "down")
    return norm(x, p["norm"], p["normb"])


class TrainStep:
    def __init__(self, _):
        self.p = {name: x.requires_grad_() for name, x in gpt_parameters().items()}
        n = GPT["batch"] * GPT["context"]
        self.tokens = integers(n, 1, GPT["vocabulary"]).reshape(GPT["batch"], -1)
        self.targets = integers(n, 2, GPT["vocabulary"])
        self.optimizer = adamw_for(list(self.p.values()))

    def once(self):
        p = self.p
        x = F.embedding(self.tokens, p["wte"]) + p["wpe"][: GPT["context"]]
        h = blocks(p, x, lambda qkv, l: attend(qkv, GPT["heads"]))
        loss = F.cross_entropy(h.reshape(-1, GPT["width"]) @ p["wte"].T, self.targets)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def run(self, times):
        for _ in range(times):
            self.once()

    def check(self):
        return [self.once() for _ in range(3)]


def decode(s):
    p = gpt_parameters(s.get("weights", "f32"))
    d, H, cached = GPT["width"], GPT["heads"], GPT["cached"]
    cache = [values([1, cached, d], 500 + i) for i in range(2 * GPT["layers"])]

    def attention(qkv, l):
        q, k, v = qkv.chunk(3, -1)
        keys, all_values = torch.cat([cache[2 * l], k], 1), torch.cat([cache[2 * l + 1], v], 1)
        split = lambda y: y.reshape(1, -1, H, d // H).transpose(1, 2)
        scores = split(q) @ split(keys).transpose(2, 3) / (d // H) ** 0.5
        return (scores.softmax(-1) @ split(all_values)).transpose(1, 2).reshape(1, 1, d)

    def f():
        x = (p["wte"][17] + p["wpe"][cached]).reshape(1, 1, d)
        return blocks(p, x, attention).reshape(1, d) @ p["wte"].T

    return Plain(f)


OPS = {
    "matmul": matmul,
    "softmax": softmax,
    "layernorm": layernorm,
    "attention": attention,
    "attention-backward": attention_backward,
    "embedding-backward": embedding_backward,
    "cross-entropy": cross_entropy,
    "adamw": AdamW,
    "train-step": TrainStep,
    "decode": decode,
}


def answer(value):
    print("\x01" + json.dumps(value), flush=True)


answer({"ready": f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads"})
current = None
for line in sys.stdin:
    question = json.loads(line)
    try:
        if "prepare" in question:
            spec = question["prepare"]
            current = OPS[spec["op"]](spec) if spec["op"] in OPS else None
            started = time.perf_counter()
            answer({"unsupported": "not offered"} if current is None else {"check": current.check(), "coldMs": (time.perf_counter() - started) * 1e3})
        else:
            started = time.perf_counter()
            current.run(question["run"])
            answer({"ms": (time.perf_counter() - started) * 1e3 / question["run"]})
    except Exception as error:  # the parent says which case failed
        answer({"error": str(error).split("\n")[0]})
