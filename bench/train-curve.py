# PyTorch's side of train-curve.mjs: reads weights and batches from a folder, trains, and prints the loss of each step.
#
#   python bench/train-curve.py FOLDER THREADS
import json
import sys
from pathlib import Path

import numpy as np
import torch

from stories15m import Model, adamw

folder = Path(sys.argv[1])
torch.set_num_threads(int(sys.argv[2]))
plan = json.loads((folder / "plan.json").read_text())
model = Model(plan["length"])
optimizer = adamw(model)
parameters = model.by_name()
assert sorted(parameters) == sorted(plan["names"])
values = torch.from_numpy(np.fromfile(folder / "weights.f32", dtype=np.float32))
with torch.no_grad():
    for name, part in zip(plan["names"], values.split([parameters[name].numel() for name in plan["names"]]), strict=True):
        parameters[name].copy_(part.view_as(parameters[name]))

for step in plan["steps"]:
    for group in optimizer.param_groups:
        group["lr"] = step["rate"]
    optimizer.zero_grad(set_to_none=True)
    loss = model(torch.tensor(step["tokens"]), torch.tensor(step["targets"]))
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    print(json.dumps(loss.item()), flush=True)
