"""Makes test/golden/convert.json: what llama.cpp's converter and transformers make of the tiny checkpoints of test/checkpoints.

    pip install torch transformers safetensors gguf sentencepiece
    PARE_CHECKPOINTS=/tmp/checkpoints npx vitest run test/checkpoints    # writes the checkpoints
    python scripts/convert-golden/make.py /tmp/checkpoints path/to/llama.cpp         # b9888 or near

Per checkpoint: each tensor's shape, type and SHA-256 (as f32, and as the other types for one of them), the metadata with
long lists as their SHA-256, and logits of transformers in F32. A vocabulary of one's own is none that the converter knows
by its hash, so it is told the name of the pre-tokenizer.
"""

import hashlib
import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOKENS = [1, 300, 42, 270, 350, 99, 261, 280, 300, 7, 301, 263, 290, 310, 120, 299]
EVERY = 24  # one logit of so many is kept
PRE = {"llama-3-tied": "llama-bpe", "smollm": "smollm", "olmoe": "olmo"}
TYPES = {"mistral": ["bf16", "f16"], "llama-3-tied": ["bf16", "f16", "q8_0"], "mixtral": ["q8_0", "f16"]}


def convert(folder: Path, kind: str) -> Path:
    import convert_hf_to_gguf
    from conversion.base import TextModel

    out = folder.parent / f"{folder.name}.{kind}.gguf"
    TextModel.get_vocab_base_pre = lambda self, tokenizer: PRE.get(folder.name, "qwen2")
    sys.argv = ["convert_hf_to_gguf.py", str(folder), "--outtype", kind, "--outfile", str(out)]
    convert_hf_to_gguf.main()
    return out


def value_of(field):
    value = field.contents()
    if isinstance(value, list) and len(value) > 12:
        text = "\n".join(f"{v + 0:.4f}" if isinstance(v, float) else str(v) for v in value)
        return {"length": len(value), "sha256": hashlib.sha256(text.encode()).hexdigest()[:16]}
    return value


def describe(path: Path) -> dict:
    from gguf import GGUFReader

    reader = GGUFReader(path)
    tensors = {}
    for tensor in reader.tensors:
        data = hashlib.sha256(tensor.data.tobytes()).hexdigest()[:16]
        tensors[tensor.name] = f"{tensor.tensor_type.name.lower()} {'x'.join(str(int(n)) for n in tensor.shape)} {data}"
    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    return {"metadata": {key: value_of(field) for key, field in fields.items()}, "tensors": tensors}


def logits_of(folder: Path) -> list:
    import torch
    from transformers import AutoModelForCausalLM

    model, info = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    if info["missing_keys"] or info["unexpected_keys"] or info["mismatched_keys"]:
        sys.exit(f"{folder.name}: {info}")
    with torch.no_grad():
        logits = model(torch.tensor([TOKENS])).logits[0]
    return [[float(f"{v:.6g}") for v in row[::EVERY].tolist()] for row in logits]


def main() -> None:
    folder = Path(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    checkpoints = {}
    for one in sorted(p for p in folder.iterdir() if p.is_dir()):
        print(one.name, flush=True)
        golden = describe(convert(one, "f32"))
        golden["types"] = {k: describe(convert(one, k))["tensors"] for k in TYPES.get(one.name, [])}
        checkpoints[one.name] = {**golden, "logits": logits_of(one)}
    import torch
    import transformers

    made_with = {"llama.cpp": "b9888", "transformers": transformers.__version__, "torch": torch.__version__.split("+")[0]}
    golden = {"madeWith": made_with, "tokens": TOKENS, "every": EVERY, "checkpoints": checkpoints}
    out = ROOT / "test" / "golden" / "convert.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
