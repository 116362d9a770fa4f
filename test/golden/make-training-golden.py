# Writes training.json beside it: losses, gradients and loss curves of tiny Llama-like models in PyTorch 2.13, against which
# src/graph and src/train are tested. Weights come from a formula that both sides compute, so that only results are stored.
#
#   python3 -m venv v && v/bin/pip install numpy torch==2.13.0 && v/bin/python test/golden/make-training-golden.py
import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F

BASE = dict(layers=2, width=8, feedForward=12, heads=2, kvHeads=2, headLength=4, vocabulary=16, epsilon=1e-5,
            style="norm", base=10000.0, bias=False, headNorm=False, tied=True, window=None)
VARIANTS = {
    "llama": dict(kvHeads=1),
    "mistral": dict(tied=False, window=3),
    "qwen2": dict(style="neox", bias=True, kvHeads=1),
    "qwen3": dict(style="neox", headNorm=True, headLength=6, tied=False, base=1000000.0),
}
# Two rows of eight tokens; documents of a row see only themselves. A weight of 0 leaves a target out.
TOKENS = [[1, 5, 9, 3, 1, 7, 2, 4], [1, 11, 15, 6, 8, 0, 13, 10]]
TARGETS = [[5, 9, 3, 2, 7, 2, 4, 14], [11, 15, 6, 8, 0, 13, 10, 12]]
DOCUMENTS = [[0, 0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 0, 0, 0]]
WEIGHTS = [[1, 1, 1, 0, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1, 1, 1]]
STEPS = 20


def tensors(s):
    q, k = s["heads"] * s["headLength"], s["kvHeads"] * s["headLength"]
    yield "token_embd.weight", (s["vocabulary"], s["width"])
    for i in range(s["layers"]):
        block = [("attn_norm.weight", (s["width"],)), ("attn_q.weight", (q, s["width"])),
                 ("attn_k.weight", (k, s["width"])), ("attn_v.weight", (k, s["width"]))]
        if s["bias"]:
            block += [("attn_q.bias", (q,)), ("attn_k.bias", (k,)), ("attn_v.bias", (k,))]
        if s["headNorm"]:
            block += [("attn_q_norm.weight", (s["headLength"],)), ("attn_k_norm.weight", (s["headLength"],))]
        block += [("attn_output.weight", (s["width"], q)), ("ffn_norm.weight", (s["width"],)),
                  ("ffn_gate.weight", (s["feedForward"], s["width"])), ("ffn_up.weight", (s["feedForward"], s["width"])),
                  ("ffn_down.weight", (s["width"], s["feedForward"]))]
        yield from ((f"blk.{i}.{name}", shape) for name, shape in block)
    yield "output_norm.weight", (s["width"],)
    if not s["tied"]:
        yield "output.weight", (s["vocabulary"], s["width"])


def initial(s):
    """Element i of tensor number t is sin(0.7 i + t) / 3, with 1 added where it is a norm's."""
    weights = {}
    for t, (name, shape) in enumerate(tensors(s)):
        count = math.prod(shape)
        values = torch.sin(0.7 * torch.arange(count, dtype=torch.float64) + t) / 3 + (1 if "norm" in name else 0)
        weights[name] = values.float().reshape(shape).requires_grad_()
    return weights


def norm(x, weight, epsilon):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + epsilon) * weight


def rope(x, positions, s):  # [batch, tokens, heads, headLength]
    half = s["headLength"] // 2
    angles = positions[..., None, None] * s["base"] ** (-2 * torch.arange(half) / s["headLength"])
    cos, sin = angles.cos(), angles.sin()
    a, b = (x[..., 0::2], x[..., 1::2]) if s["style"] == "norm" else (x[..., :half], x[..., half:])
    rotated = (a * cos - b * sin, a * sin + b * cos)
    return torch.stack(rotated, -1).flatten(-2) if s["style"] == "norm" else torch.cat(rotated, -1)


def forward(w, s):
    tokens, documents = torch.tensor(TOKENS), torch.tensor(DOCUMENTS)
    rows, length = tokens.shape
    place = torch.arange(length)
    starts = torch.stack([(d[:, None] == d[None, :]).float().argmax(1) for d in documents])
    positions = (place[None, :] - starts).float()
    distance = place[:, None] - place[None, :]
    sees = (documents[:, :, None] == documents[:, None, :]) & (distance >= 0)
    if s["window"] is not None:
        sees = sees & (distance < s["window"])
    mask = torch.where(sees, 0.0, -torch.inf)[:, None]
    x = w["token_embd.weight"][tokens]
    for i in range(s["layers"]):
        p = lambda name: w[f"blk.{i}.{name}"]
        h = norm(x, p("attn_norm.weight"), s["epsilon"])

        def head(name, count):
            y = h @ p(f"attn_{name}.weight").T + (p(f"attn_{name}.bias") if s["bias"] else 0)
            y = y.reshape(rows, length, count, s["headLength"])
            if s["headNorm"] and name != "v":
                y = norm(y, p(f"attn_{name}_norm.weight"), s["epsilon"])
            return (rope(y, positions, s) if name != "v" else y).transpose(1, 2)

        q, k, v = head("q", s["heads"]), head("k", s["kvHeads"]), head("v", s["kvHeads"])
        repeat = s["heads"] // s["kvHeads"]
        k, v = k.repeat_interleave(repeat, 1), v.repeat_interleave(repeat, 1)
        scores = torch.softmax(q @ k.transpose(-1, -2) / math.sqrt(s["headLength"]) + mask, -1)
        x = x + (scores @ v).transpose(1, 2).reshape(rows, length, -1) @ p("attn_output.weight").T
        h = norm(x, p("ffn_norm.weight"), s["epsilon"])
        x = x + (F.silu(h @ p("ffn_gate.weight").T) * (h @ p("ffn_up.weight").T)) @ p("ffn_down.weight").T
    x = norm(x, w["output_norm.weight"], s["epsilon"])
    return x @ (w["token_embd.weight"] if s["tied"] else w["output.weight"]).T


def loss_of(w, s):
    weights = torch.tensor(WEIGHTS, dtype=torch.float32).flatten()
    each = F.cross_entropy(forward(w, s).flatten(0, 1), torch.tensor(TARGETS).flatten(), reduction="none")
    return (each * weights).sum() / weights.sum()


def adamw(groups):
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8)


def curve(s, make):
    """Peak rate 0.01 after 4 steps of warm-up, cosine to a tenth, decay of matrices 0.1, norm clipped at 1."""
    w = initial(s)
    matrices, vectors = [p for p in w.values() if p.dim() > 1], [p for p in w.values() if p.dim() == 1]
    optimizer = make([dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)])
    losses = []
    for step in range(STEPS):
        share = (step + 1 - 4) / (STEPS - 4)
        rate = 0.01 * ((step + 1) / 4 if step < 4 else 0.1 + 0.9 * (1 + math.cos(math.pi * share)) / 2)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        loss = loss_of(w, s)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(w.values()), 1.0)
        optimizer.step()
        losses.append(loss.item())
    return losses


torch.manual_seed(0)
torch.set_num_threads(1)
result = dict(tokens=TOKENS, targets=TARGETS, documents=DOCUMENTS, weights=WEIGHTS, models={})
for name, change in VARIANTS.items():
    s = {**BASE, **change}
    w = initial(s)
    loss = loss_of(w, s)
    loss.backward()
    gradients = {key: [float(f"{g:.6g}") for g in p.grad.flatten().tolist()] for key, p in w.items()}
    result["models"][name] = dict(shape=s, loss=loss.item(), gradients=gradients, curve=curve(s, adamw), adafactor=curve(s, torch.optim.Adafactor))
    print(name, loss.item(), result["models"][name]["curve"][-1])
Path(__file__).with_name("training.json").write_text(json.dumps(result) + "\n")
