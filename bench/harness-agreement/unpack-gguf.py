# Writes the weights of a GGUF file as a Hugging Face model in F32, with the tokenizer of another folder.
#
#   python unpack-gguf.py FILE.gguf TOKENIZER_FOLDER OUT_FOLDER
import os
import sys

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

gguf, tokenizer, out = sys.argv[1:4]
read = AutoModelForCausalLM.from_pretrained(os.path.dirname(gguf), gguf_file=os.path.basename(gguf), dtype=torch.float32)
model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(tokenizer), dtype=torch.float32)
model.load_state_dict(read.state_dict())
model.save_pretrained(out)
AutoTokenizer.from_pretrained(tokenizer).save_pretrained(out)
