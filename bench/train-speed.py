# PyTorch's side of train-speed.mjs: the same model, batch and optimizer. Takes one training step for every line on standard
# input and prints its milliseconds and its loss; at the end of input the peak of its memory in bytes.
#
#   python bench/train-speed.py eager|compiled THREADS SEQUENCES
import json
import math
import resource
import sys
import time

import torch
import torch.nn.functional as F

mode, threads, sequences = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
LAYERS, WIDTH, HEADS, FEED_FORWARD, VOCABULARY, LENGTH = 6, 288, 6, 768, 32000, 256
HEAD = WIDTH // HEADS


class Block(torch.nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)
        self.attn_norm, self.ffn_norm = torch.nn.RMSNorm(WIDTH, eps=1e-5), torch.nn.RMSNorm(WIDTH, eps=1e-5)
        self.q, self.k, self.v, self.o = (linear(WIDTH, WIDTH) for _ in range(4))
        self.gate, self.up, self.down = linear(WIDTH, FEED_FORWARD), linear(WIDTH, FEED_FORWARD), linear(FEED_FORWARD, WIDTH)

    def forward(self, x, cos, sin):
        b, t, _ = x.shape
        h = self.attn_norm(x)
        q, k, v = (p(h).view(b, t, HEADS, HEAD).transpose(1, 2) for p in (self.q, self.k, self.v))

        def rope(y):
            even, odd = y[..., 0::2], y[..., 1::2]
            return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)

        y = F.scaled_dot_product_attention(rope(q), rope(k), v, is_causal=True)
        x = x + self.o(y.transpose(1, 2).reshape(b, t, WIDTH))
        h = self.ffn_norm(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-5)
        angles = torch.arange(LENGTH)[:, None] * 10000.0 ** (-2 * torch.arange(HEAD // 2) / HEAD)
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for p in self.parameters():
            if p.dim() > 1:
                torch.nn.init.normal_(p, std=0.02)

    def forward(self, tokens, targets):
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        logits = F.linear(self.norm(x), self.embedding.weight)  # tied
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


torch.manual_seed(0)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
loss_of = torch.compile(model) if mode == "compiled" else model
tokens = torch.tensor([[(i * 7919 + s * 104729 + 13) % VOCABULARY for i in range(LENGTH + 1)] for s in range(sequences)])

for _ in sys.stdin:
    started = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(tokens[:, :-1], tokens[:, 1:])
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(json.dumps({"ms": (time.perf_counter() - started) * 1000, "loss": loss.item()}), flush=True)
print(json.dumps({"peakBytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)
