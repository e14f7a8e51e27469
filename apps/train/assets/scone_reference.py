"""A SCONE model by numpy alone: tokens -> longest f-grams -> rows -> decoder -> logits. [Yu et al., arXiv 2502.01637, Alg. 1]

Lies in the folder that `scone-train export RUN DIR --rows` writes, beside config.json, model*.safetensors, and, for a model with
f-grams, fgrams.jsonl (a line per id: its tokens) and rows-*.safetensors (a row per id). It says what the weights mean, in as few
lines as that takes; it is not fast. Decoders of GPT-2's and of Llama's kind.

    python3 scone_reference.py 0 17 204 33        the five likeliest next tokens, and the f-gram that each token ends
    python3 scone_reference.py --json 0 17 204    {"lengths": [n], "ids": [n], "logits": [n][V]}
"""
import glob
import json
import os
import struct
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def read_safetensors(path):
    """name -> f32 array. A file is the header's length (u64), a JSON header, and the bytes of all tensors."""
    with open(path, "rb") as file:
        header = json.loads(file.read(struct.unpack("<Q", file.read(8))[0]))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        start, end = entry["data_offsets"]
        stored = np.frombuffer(data[start:end], {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}[entry["dtype"]])
        if entry["dtype"] == "BF16":  # the upper half of an f32
            stored = (stored.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = stored.astype(np.float32).reshape(entry["shape"])
    return tensors


def read_model(folder):
    """config.json, the weights by name, the id of each f-gram, and the rows [n, D]."""
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    weights = {}
    for path in sorted(glob.glob(os.path.join(folder, "model*.safetensors"))):
        weights.update(read_safetensors(path))
    paths = sorted(glob.glob(os.path.join(folder, "rows-*.safetensors")))
    if not paths:
        return config, weights, {}, None
    with open(os.path.join(folder, "fgrams.jsonl"), encoding="utf-8") as file:
        fgrams = {tuple(json.loads(line)): index for index, line in enumerate(file)}
    return config, weights, fgrams, np.concatenate([read_safetensors(path)["rows"] for path in paths])


def longest_matches(tokens, fgrams):
    """Of each position: the id of the longest f-gram that ends there, -1 where none, and its length, 1 where none."""
    longest = max(map(len, fgrams), default=1)
    ids, lengths = [], []
    for end in range(1, len(tokens) + 1):
        for n in range(min(longest, end), 0, -1):
            found = fgrams.get(tuple(tokens[end - n : end]), -1) if n > 1 else -1
            if found >= 0 or n == 1:
                ids.append(found)
                lengths.append(n)
                break
    return ids, lengths


def embeddings(tokens, table, fgrams, rows):
    """[n, D]: the row of the longest f-gram in the place of the token's own embedding. The only line that SCONE adds to a decoder."""
    ids, _ = longest_matches(tokens, fgrams)
    return np.stack([table[token] if i < 0 else rows[i] for token, i in zip(tokens, ids)])


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention(q, k, v):
    """Causal, over heads. q [n, H, E]; k, v [n, G, E], each shared by H / G heads."""
    n, heads, size = q.shape
    k, v = (np.repeat(x, heads // x.shape[1], axis=1) for x in (k, v))
    scores = np.einsum("qhe,khe->hqk", q, k) / np.sqrt(np.float32(size))
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    return np.einsum("hqk,khe->qhe", softmax(scores), v).reshape(n, -1)


def layer_norm(x, weight, bias, eps):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + eps) * weight + bias


def rms_norm(x, weight, eps):
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + eps) * weight


def gelu(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi, dtype=np.float32) * (x + 0.044715 * x**3)))


def gpt2(x, w, config):
    """x [n, D] after the look-up -> hidden states [n, D]."""
    n, width = x.shape
    heads, eps = config["n_head"], config["layer_norm_epsilon"]
    x = x + w["transformer.wpe.weight"][:n]
    for layer in range(config["n_layer"]):
        at = f"transformer.h.{layer}."
        linear = lambda y, name: y @ w[f"{at}{name}.weight"] + w[f"{at}{name}.bias"]
        norm = lambda y, name: layer_norm(y, w[f"{at}{name}.weight"], w[f"{at}{name}.bias"], eps)
        q, k, v = (part.reshape(n, heads, -1) for part in np.split(linear(norm(x, "ln_1"), "attn.c_attn"), 3, axis=1))
        x = x + linear(attention(q, k, v), "attn.c_proj")
        x = x + linear(gelu(linear(norm(x, "ln_2"), "mlp.c_fc")), "mlp.c_proj")
    return layer_norm(x, w["transformer.ln_f.weight"], w["transformer.ln_f.bias"], eps)


def rotate(x, base):
    """Rotary positions: halves of a head are turned by position / base^(2 i / E). x [n, H, E]"""
    n, _, size = x.shape
    angles = np.arange(n)[:, None] * base ** (-np.arange(0, size, 2) / size)
    cos, sin = (f(angles).astype(np.float32)[:, None] for f in (np.cos, np.sin))
    a, b = np.split(x, 2, axis=-1)
    return np.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def llama(x, w, config):
    """x [n, D] after the look-up -> hidden states [n, D]."""
    if config.get("rope_scaling"):
        sys.exit("scone_reference.py: rope_scaling is not part of this reference")
    n, eps, base = len(x), config["rms_norm_eps"], config["rope_theta"]
    heads, groups = config["num_attention_heads"], config["num_key_value_heads"]
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        linear = lambda y, name: y @ w[f"{at}{name}.weight"].T + w.get(f"{at}{name}.bias", 0)
        y = rms_norm(x, w[f"{at}input_layernorm.weight"], eps)
        q, k, v = (linear(y, f"self_attn.{p}_proj").reshape(n, h, -1) for p, h in (("q", heads), ("k", groups), ("v", groups)))
        x = x + linear(attention(rotate(q, base), rotate(k, base), v), "self_attn.o_proj")
        y = rms_norm(x, w[f"{at}post_attention_layernorm.weight"], eps)
        gate = linear(y, "mlp.gate_proj")
        x = x + linear(gate / (1 + np.exp(-gate)) * linear(y, "mlp.up_proj"), "mlp.down_proj")
    return rms_norm(x, w["model.norm.weight"], eps)


FORMS = {"gpt2": (gpt2, "transformer.wte.weight"), "llama": (llama, "model.embed_tokens.weight")}


def logits(tokens, model):
    """[n, V]: what follows each of the tokens. tokens: ids; model: what read_model gives."""
    config, weights, fgrams, rows = model
    if config["model_type"] not in FORMS:
        sys.exit(f"scone_reference.py: model_type {config['model_type']} is not part of this reference; it knows {', '.join(FORMS)}")
    decoder, name = FORMS[config["model_type"]]
    hidden = decoder(embeddings(tokens, weights[name], fgrams, rows), weights, config)
    return hidden @ weights.get("lm_head.weight", weights[name]).T


def main(arguments):
    tokens = [int(argument) for argument in arguments if argument != "--json"]
    if not tokens:
        sys.exit(__doc__)
    model = read_model(HERE)
    ids, lengths = longest_matches(tokens, model[2])
    result = logits(tokens, model)
    if "--json" in arguments:
        print(json.dumps({"lengths": lengths, "ids": ids, "logits": result.tolist()}))
        return
    for token, i, n in zip(tokens, ids, lengths):
        print(f"token {token}: " + ("its own embedding" if i < 0 else f"row {i}, of the last {n} tokens"))
    chances = softmax(result[-1])
    for token in np.argsort(-chances)[:5]:
        print(f"next {token}: {chances[token]:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
