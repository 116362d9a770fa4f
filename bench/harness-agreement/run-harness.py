# Scores a Hugging Face model on the task with lm-evaluation-harness, in F32, and writes each item's log-likelihoods.
#
#   python run-harness.py MODEL_FOLDER TASK_YAML OUT_JSON
import json
import os
import sys

import torch
import yaml
from lm_eval import simple_evaluate
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, task, out = sys.argv[1:4]
torch.set_num_threads(1)
torch.manual_seed(0)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
lm = HFLM(pretrained=model, tokenizer=AutoTokenizer.from_pretrained(folder), batch_size=16, device="cpu", dtype="float32")
config = yaml.safe_load(open(task))
os.chdir(os.path.dirname(os.path.abspath(task)))  # its data lies beside it
results = simple_evaluate(model=lm, tasks=[config], bootstrap_iters=0, log_samples=True)
samples = results["samples"][config["task"]]
json.dump(
    {
        "scores": {name: value for name, value in results["results"][config["task"]].items() if isinstance(value, float)},
        "items": [
            {
                "index": sample["doc_id"],
                "logLikelihoods": [response[0][0] for response in sample["resps"]],
                "acc": sample["acc"],
                "acc_norm": sample["acc_norm"],
            }
            for sample in sorted(samples, key=lambda one: one["doc_id"])
        ],
    },
    open(out, "w"),
)
