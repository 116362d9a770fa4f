# PyTorch's side of train-speed.mjs: the same model, batch and optimizer. Takes one training step for every line on standard
# input and prints its milliseconds and its loss; at the end of input the peak of its memory in bytes.
#
#   python bench/train-speed.py eager|compiled THREADS SEQUENCES
import json
import resource
import sys
import time

import torch

from stories15m import VOCABULARY, Model, adamw

mode, threads, sequences = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
LENGTH = 256
torch.manual_seed(0)
model = Model(LENGTH)
optimizer = adamw(model)
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
