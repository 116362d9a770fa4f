# A model of stories15M's shape in PyTorch, with its fused attention, for train-speed.py and train-curve.py.
import torch
import torch.nn.functional as F

LAYERS, WIDTH, HEADS, FEED_FORWARD, VOCABULARY = 6, 288, 6, 768, 32000
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
    def __init__(self, length):
        super().__init__()
        self.embedding = torch.nn.Embedding(VOCABULARY, WIDTH)
        self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.norm = torch.nn.RMSNorm(WIDTH, eps=1e-5)
        angles = torch.arange(length)[:, None] * 10000.0 ** (-2 * torch.arange(HEAD // 2) / HEAD)
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

    def by_name(self):
        """Parameters by the names that GGUF gives them."""
        names = {"token_embd.weight": self.embedding.weight, "output_norm.weight": self.norm.weight}
        for i, b in enumerate(self.blocks):
            parts = dict(attn_norm=b.attn_norm, attn_q=b.q, attn_k=b.k, attn_v=b.v, attn_output=b.o, ffn_norm=b.ffn_norm,
                         ffn_gate=b.gate, ffn_up=b.up, ffn_down=b.down)
            names.update({f"blk.{i}.{name}.weight": part.weight for name, part in parts.items()})
        return names


def adamw(model):
    """As Pare has it: only matrices decay."""
    matrices, vectors = ([p for p in model.parameters() if (p.dim() > 1) == is_matrix] for is_matrix in (True, False))
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=vectors, weight_decay=0.0)]
    return torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8, fused=True)
