# Golden values of chrF by sacrebleu: python test/golden/make-chrf-golden.py > test/golden/chrf.json
import json

import sacrebleu

PAIRS = [
    ("the cat sat on the mat", "the cat sat on the mat"),
    ("the cat sat on the mat", "a cat is sitting on the mat"),
    ("Lisbon", "The capital of Portugal is Lisbon."),
    ("", "something"),
    ("xyz", "abc"),
    ("a", "a"),
    ("ab", "abcdefgh"),
    ("Zürich liegt an der Limmat.", "Die Stadt Zürich liegt am Fluss Limmat."),
    ("東京は日本の首都です", "日本の首都は東京です。"),
    ("one two  three\nfour", "one two three four five"),
    ("aaaaaaaa", "aaaa"),
    ("🙂 ok", "🙂 okay"),
]

metric = sacrebleu.CHRF()
print(json.dumps({
    "sacrebleu": sacrebleu.__version__,
    "signature": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no",
    "pairs": [
        {"hypothesis": h, "reference": r, "chrf": metric.sentence_score(h, [r]).score} for h, r in PAIRS
    ],
}, ensure_ascii=False, indent=2))
