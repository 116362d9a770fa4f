"""Trains the home-commands model and writes it as GGUF.

Reads what generate.mjs wrote (out/home-commands/train.jsonl, models/home-commands.task.jsonl), learns a byte-level BPE
vocabulary, trains a small Llama and writes models/home-commands-f16.gguf. Nothing else in Pare needs Python.

The network is Llama's: RMSNorm, rotary positions on neighbouring pairs (as llama.cpp applies them to this architecture,
so no rows are permuted), grouped-query attention, SwiGLU, and an output that shares the embedding's weights.
Shapes in comments: B sequences, T positions, D width, H heads, K key-value heads, d width of a head.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import gguf
import numpy as np
import torch
import torch.nn.functional as F
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn

root = Path(__file__).resolve().parents[2]
seed = 20
threads = 1
vocabulary_size = 1024
context = 256
width = 256  # k-quants need rows of a multiple of 256
layers = 5
heads = 4
heads_kv = 2
hidden = 768
norm_epsilon = 1e-5
rope_base = 10000.0

batch_tokens = 4096
peak_rate = 2.5e-3
warmup_steps = 100
decay_share = 0.5  # of the steps, at the end, the rate falls linearly to zero
weight_decay = 0.1
prompt_weight = 0.1  # of a command's tokens in the loss; the answer's count 1

end, user, assistant = "<|end|>", "<|user|>", "<|assistant|>"
chat_template = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
# The pattern by which GPT-2 splits text; llama.cpp applies it to tokenizer.ggml.pre = "gpt-2".
gpt2_pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=2200)
    parser.add_argument("--output", type=Path, default=root / "models" / "home-commands-f16.gguf")
    options = parser.parse_args()
    torch.manual_seed(seed)
    torch.set_num_threads(threads)

    examples = read_lines(root / "out" / "home-commands" / "train.jsonl")
    cases = read_lines(root / "models" / "home-commands.task.jsonl")
    tokenizer = train_tokenizer(examples)
    encoded = encode(tokenizer, examples)
    print(f"{sum(len(tokens) for tokens, _ in encoded) / len(encoded):.1f} tokens in an example", flush=True)

    model = Llama()
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters", flush=True)
    started = time.monotonic()
    train(model, encoded, options.steps)
    print(f"trained in {time.monotonic() - started:.0f} s", flush=True)

    # What is measured is what is written: the matrices rounded to F16.
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.copy_(parameter.half().float())
    write_gguf(options.output, model, tokenizer)
    report(model, tokenizer, cases)


def read_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def train_tokenizer(examples):
    """Byte-level BPE; digits are never merged, so that any number is spelled and copied digit by digit."""
    tokenizer = Tokenizer(models.BPE())
    split = pre_tokenizers.Split(Regex(gpt2_pattern), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.Digits(individual_digits=True), byte_level])
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary_size,
        special_tokens=[end, user, assistant],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = [text for example in examples[:60_000] for text in (example["command"], example["answer"])]
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.decoder = decoders.ByteLevel()
    # Without the digit rule the text is split as llama.cpp will split it; the merges already keep digits apart.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    return tokenizer


def prompt_of(command):
    return f"{user}\n{command}{end}\n{assistant}\n"


def encode(tokenizer, examples):
    """Each example as its tokens and the weight that each token has as a target."""
    prompts = tokenizer.encode_batch([prompt_of(example["command"]) for example in examples])
    answers = tokenizer.encode_batch([f"{example['answer']}{end}" for example in examples])
    newline = tokenizer.encode("\n").ids
    encoded = []
    for prompt, answer in zip(prompts, answers):
        tokens = prompt.ids + answer.ids + newline
        weights = [prompt_weight] * len(prompt.ids) + [1.0] * len(answer.ids) + [prompt_weight] * len(newline)
        encoded.append((tokens, weights))
    return encoded


def batches(encoded, steps):
    """By turns: single conversations, as in use, and rows of the whole context, as perplexity and calibration read them."""
    order = random.Random(seed)
    single, packed = batches_single(encoded, order), batches_packed(encoded, order)
    for step in range(steps):
        yield next(packed) if step % 3 == 2 else next(single)


def batches_single(encoded, order):
    while True:
        drawn = sorted(order.sample(encoded, 10_000), key=lambda example: len(example[0]))
        chunks, chunk = [], []
        for example in drawn:
            if chunk and (len(chunk) + 1) * len(example[0]) > batch_tokens:
                chunks.append(chunk)
                chunk = []
            chunk.append(example)
        order.shuffle(chunks)  # the last, incomplete one is left out
        for chunk in chunks:
            longest = max(len(tokens) for tokens, _ in chunk)
            tokens = torch.zeros(len(chunk), longest, dtype=torch.long)
            weights = torch.zeros(len(chunk), longest)
            for row, (row_tokens, row_weights) in enumerate(chunk):
                tokens[row, : len(row_tokens)] = torch.tensor(row_tokens)
                weights[row, : len(row_weights)] = torch.tensor(row_weights)
            yield tokens, weights


def batches_packed(encoded, order):
    rows = batch_tokens // context
    while True:
        tokens, weights = [], []
        while len(tokens) < rows * context:
            example_tokens, example_weights = order.choice(encoded)
            tokens += example_tokens
            weights += example_weights
        shape = (rows, context)
        yield torch.tensor(tokens[: rows * context]).view(shape), torch.tensor(weights[: rows * context]).view(shape)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, width * heads_kv // heads, bias=False)
        self.v = nn.Linear(width, width * heads_kv // heads, bias=False)
        self.output = nn.Linear(width, width, bias=False)

    def forward(self, x, rotation):
        batch, length, _ = x.shape
        q = rotate(self.q(x).view(batch, length, heads, -1), rotation).transpose(1, 2)  # B, H, T, d
        k = rotate(self.k(x).view(batch, length, heads_kv, -1), rotation).transpose(1, 2)  # B, K, T, d
        v = self.v(x).view(batch, length, heads_kv, -1).transpose(1, 2)  # B, K, T, d
        k, v = (part.repeat_interleave(heads // heads_kv, dim=1) for part in (k, v))  # B, H, T, d
        # Written out: on a processor, with sequences this short, a step takes half the time that the fused kernel needs.
        scores = q @ k.transpose(2, 3) / math.sqrt(width // heads)  # B, H, T, T
        future = torch.ones(length, length, dtype=torch.bool).triu(1)
        mixed = scores.masked_fill(future, -math.inf).softmax(-1).to(v.dtype) @ v  # B, H, T, d
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))  # B, T, D


def rotate(x, rotation):
    """Turns each pair of neighbouring values by an angle that grows with the position."""
    cosine, sine = (part[: x.shape[1], None].to(x.dtype) for part in rotation)  # T, 1, d / 2
    even, odd = x[..., 0::2], x[..., 1::2]  # B, T, H or K, d / 2
    return torch.stack((even * cosine - odd * sine, even * sine + odd * cosine), dim=-1).flatten(-2)


class FeedForward(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x):
        return self.down(F.silu(self.gate(x)) * self.up(x))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, norm_epsilon)
        self.attention = Attention()
        self.feed_forward_norm = nn.RMSNorm(width, norm_epsilon)
        self.feed_forward = FeedForward()

    def forward(self, x, rotation):
        x = x + self.attention(self.attention_norm(x), rotation)
        return x + self.feed_forward(self.feed_forward_norm(x))


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.blocks = nn.ModuleList(Block() for _ in range(layers))
        self.norm = nn.RMSNorm(width, norm_epsilon)
        head_width = width // heads
        frequencies = rope_base ** (-torch.arange(0, head_width, 2) / head_width)
        angles = torch.outer(torch.arange(context), frequencies)
        self.register_buffer("rotation", torch.stack((angles.cos(), angles.sin())), persistent=False)
        for parameter in self.parameters():
            if parameter.dim() == 2:
                nn.init.normal_(parameter, std=0.04)
        for block in self.blocks:
            for last in (block.attention.output, block.feed_forward.down):
                nn.init.normal_(last.weight, std=0.04 / math.sqrt(2 * layers))

    def forward(self, tokens):
        x = self.embedding(tokens)  # B, T, D
        for block in self.blocks:
            x = block(x, self.rotation)
        return F.linear(self.norm(x), self.embedding.weight)  # B, T, vocabulary


def train(model, encoded, steps):
    matrices = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, fused=True)
    compiled = torch.compile(model, dynamic=True)  # twice as fast; needs a C++ compiler
    started, seen, total, count = time.monotonic(), 0, 0.0, 0
    for step, (tokens, weights) in enumerate(batches(encoded, steps)):
        rate = peak_rate * min((step + 1) / warmup_steps, (steps - step) / (steps * decay_share), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", torch.bfloat16):
            logits = compiled(tokens[:, :-1])
        losses = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        targets = weights[:, 1:].flatten()
        loss = (losses * targets).sum() / targets.sum()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seen, total, count = seen + tokens.numel(), total + loss.item(), count + 1
        if (step + 1) % 100 == 0:
            speed = seen / (time.monotonic() - started)
            print(f"step {step + 1}: loss {total / count:.4f}, {speed:.0f} tokens/s", flush=True)
            total, count = 0.0, 0


@torch.no_grad()
def report(model, tokenizer, cases):
    """Greedy exact match on the held-out cases, for each tag."""
    outcomes = {}
    for case in cases:
        tokens = tokenizer.encode(prompt_of(case["messages"][0]["content"])).ids
        start = len(tokens)
        while len(tokens) < context and tokens[-1] != tokenizer.token_to_id(end):
            tokens.append(int(model(torch.tensor([tokens]))[0, -1].argmax()))
        answer = tokenizer.decode(tokens[start:-1], skip_special_tokens=False)
        right = answer == case["expect"]
        if not right:
            print(json.dumps({"command": case["messages"][0]["content"], "expect": case["expect"], "answer": answer}))
        for tag in ["all", *case["tags"]]:
            outcomes.setdefault(tag, []).append(right)
    for tag, right in outcomes.items():
        print(f"{tag}: {sum(right)} of {len(right)} ({100 * sum(right) / len(right):.1f} %)")


def write_gguf(path, model, tokenizer):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("Home Commands")
    writer.add_description("Turns a short smart-home command in English into a JSON intent. Trained from scratch on generated data.")
    writer.add_license("mit")
    writer.add_languages(["en"])
    writer.add_tags(["text-generation", "smart-home", "json"])
    writer.add_size_label("4.2M")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_context_length(context)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(hidden)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads_kv)
    writer.add_layer_norm_rms_eps(norm_epsilon)
    writer.add_rope_dimension_count(width // heads)
    writer.add_rope_freq_base(rope_base)
    writer.add_vocab_size(vocabulary_size)
    add_vocabulary(writer, tokenizer)
    for name, tensor in named_tensors(model):
        array = tensor.detach().numpy()
        writer.add_tensor(name, array.astype(np.float16 if array.ndim == 2 else np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer, tokenizer):
    state = json.loads(tokenizer.to_str())
    tokens = [tokenizer.id_to_token(token) for token in range(vocabulary_size)]
    special = {end, user, assistant}
    types = [gguf.TokenType.CONTROL if token in special else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in state["model"]["merges"]])
    writer.add_bos_token_id(tokenizer.token_to_id(end))
    writer.add_eos_token_id(tokenizer.token_to_id(end))
    writer.add_add_bos_token(False)
    writer.add_chat_template(chat_template)


def named_tensors(model):
    yield "token_embd.weight", model.embedding.weight
    for index, block in enumerate(model.blocks):
        prefix = f"blk.{index}"
        yield f"{prefix}.attn_norm.weight", block.attention_norm.weight
        yield f"{prefix}.attn_q.weight", block.attention.q.weight
        yield f"{prefix}.attn_k.weight", block.attention.k.weight
        yield f"{prefix}.attn_v.weight", block.attention.v.weight
        yield f"{prefix}.attn_output.weight", block.attention.output.weight
        yield f"{prefix}.ffn_norm.weight", block.feed_forward_norm.weight
        yield f"{prefix}.ffn_gate.weight", block.feed_forward.gate.weight
        yield f"{prefix}.ffn_up.weight", block.feed_forward.up.weight
        yield f"{prefix}.ffn_down.weight", block.feed_forward.down.weight
    yield "output_norm.weight", model.norm.weight


if __name__ == "__main__":
    main()
