"""Prints what transformers makes of checkpoint folders, as JSON: logits in F32 of the tokens of convert.json, and of texts their tokens.

    python test/golden/transformers-logits.py FOLDER... < {"texts": [...]}
"""

import json
import sys
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

GOLDEN = json.loads((Path(__file__).parent / "convert.json").read_text())


def describe(folder: str, texts: list[str]) -> dict:
    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        logits = model(torch.tensor([GOLDEN["tokens"]])).logits[0]
    return {
        "unloaded": sorted(str(key) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for key in info[kind]),
        "logits": [[float(v) for v in row[:: GOLDEN["every"]]] for row in logits],
        "tokens": [tokenizer(text)["input_ids"] for text in texts],
        "text": [tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) for text in texts],
    }


texts = json.load(sys.stdin)["texts"]
json.dump({Path(folder).name: describe(folder, texts) for folder in sys.argv[1:]}, sys.stdout)
