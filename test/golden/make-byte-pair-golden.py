# Writes byte-pairs.json beside it: merges that Hugging Face's tokenizers 0.22.2 learns from a small text, and texts as its
# tokens, against which src/vocabulary is tested.
#
#   python3 -m venv v && v/bin/pip install tokenizers==0.22.2 && v/bin/python test/golden/make-byte-pair-golden.py
import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

SIZE = 480
LINES = [
    "The quick brown fox doesn't jump over the lazy dogs; they're 1234 years old, and I've seen it: they'd rather sleep.",
    "the rain in spain stays mainly in the plain, the plain stays plain in the rain",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Zwölf Boxkämpfer!",
    "Любя, съешь щипцы, вздохнёт мэр, кайф жгуч. Любя, съешь ещё!",
    "いろはにほへと ちりぬるを わかよたれそ つねならむ いろはにほへと",
    "def f(x):\n    return x ** 2  # a comment\n\n\nfor i in range(10):\n    print(f(i))\n",
    "$$$ FREE!!! $$$ Click here >>>>> http://example.com/?a=1&b=2 <<<<< 50% off!!!",
    "tabs\tand\u00a0odd\u2003spaces \r\n  \n\n trailing   ",
    "👩‍👩‍👧‍👦 family 👍🏽 thumbs 🏳️‍🌈 flags ℝ∑ ½ ² Ⅷ x² mañana man\u0303ana",
    "aaaa aaaaa aaaaaa aa a abababab ababab baba",
]
TEXTS = [
    *LINES,
    "",
    " ",
    "   leading and\n\n\nblank lines\n ",
    "'s 't 'LL 'll can't CAN'T",
    "The rain's plain: 12 345 678,90 €",
    "\u0000\u0001\u007f\u0085\ufeff\u200b",
    "unseen words: xylophone Ψ ก 한국어 עברית",
]

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=SIZE, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
)
tokenizer.train_from_iterator(LINES, trainer)
model = json.loads(tokenizer.to_str())["model"]
golden = {
    "size": SIZE,
    "lines": LINES,
    "merges": model["merges"],
    "texts": [{"text": text, "tokens": tokenizer.encode(text).tokens} for text in TEXTS],
}
Path(__file__).with_name("byte-pairs.json").write_text(json.dumps(golden, indent=1, ensure_ascii=True) + "\n")
