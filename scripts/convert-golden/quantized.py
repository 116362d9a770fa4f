# Golden values of quantized layers: one layer in each layout that `pare convert` reads, from a seed, with the values that its codes, scales
# and zero points stand for. GPTQ and AWQ are packed here as AutoGPTQ 0.7's QuantLinear.pack and AutoAWQ 0.2's WQLinear_GEMM do;
# compressed-tensors by its own package:
#
#   pip install numpy torch compressed-tensors && python scripts/convert-golden/quantized.py > test/golden/quantized.json
import base64
import json

import numpy as np
import torch
from compressed_tensors.compressors.pack_quantized.helpers import pack_to_int32

ROWS, COLUMNS = 16, 64
random = np.random.default_rng(5)


def tensor(array, dtype=None):
    names = {"int32": "I32", "int64": "I64", "int8": "I8", "float16": "F16", "float32": "F32"}
    array = np.ascontiguousarray(array)
    return {"dtype": dtype or names[str(array.dtype)], "shape": list(array.shape), "data": base64.b64encode(array.tobytes()).decode()}


def layer(bits, groups, symmetric):
    codes = random.integers(0, 2**bits, (ROWS, COLUMNS))
    scales = random.uniform(0.01, 0.1, (ROWS, groups)).astype(np.float16)
    zeros = np.full((ROWS, groups), 2 ** (bits - 1)) if symmetric else random.integers(1, 2**bits, (ROWS, groups))
    return codes, scales, zeros


def values(codes, scales, zeros, group_of):
    return (scales.astype(np.float32)[:, group_of] * (codes - zeros[:, group_of])).astype(np.float32)


def pack_columns(numbers, bits, order=None):
    """Of each row, neighbours into one word, the first lowest, or in an order."""
    per_word = 32 // bits
    words = np.zeros((numbers.shape[0], numbers.shape[1] // per_word), dtype=np.uint32)
    for i in range(per_word):
        words |= numbers[:, (order[i] if order else i) :: per_word].astype(np.uint32) << (bits * i)
    return words.view(np.int32)


def gptq(name, bits, groups, symmetric, act_order=False, version="gptq"):
    codes, scales, zeros = layer(bits, groups, symmetric)
    group_of = np.arange(COLUMNS) * groups // COLUMNS
    if act_order:
        group_of = random.permutation(group_of)
    stored = zeros - 1 if version == "gptq" else zeros
    tensors = {
        "qweight": tensor(pack_columns(codes, bits).T),
        "qzeros": tensor(pack_columns((stored & (2**bits - 1)).T, bits)),
        "scales": tensor(scales.T),
        "g_idx": tensor(group_of.astype(np.int32)),
    }
    config = {"quant_method": "gptq", "bits": bits, "group_size": COLUMNS // groups, "checkpoint_format": version}
    return {"name": name, "config": config, "tensors": tensors, "values": tensor(values(codes, scales, zeros, group_of))}


def awq(name, groups):
    codes, scales, zeros = layer(4, groups, False)
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    group_of = np.arange(COLUMNS) * groups // COLUMNS
    tensors = {
        "qweight": tensor(pack_columns(codes.T, 4, order)),
        "qzeros": tensor(pack_columns(zeros.T, 4, order)),
        "scales": tensor(scales.T),
    }
    config = {"quant_method": "awq", "bits": 4, "group_size": COLUMNS // groups, "version": "gemm"}
    return {"name": name, "config": config, "tensors": tensors, "values": tensor(values(codes, scales, zeros, group_of))}


def compressed(name, bits, groups, symmetric, layout, bfloat=False):
    codes, scales, zeros = layer(bits, groups, symmetric)
    group_of = np.arange(COLUMNS) * groups // COLUMNS
    half = 2 ** (bits - 1)
    signed = torch.from_numpy((codes - half).astype(np.int8))
    points = torch.from_numpy((zeros - half).astype(np.int8))
    kept = torch.from_numpy(scales)
    if bfloat:
        kept = kept.to(torch.bfloat16)
        scales = kept.float().numpy()
    scale = tensor(kept.view(torch.int16).numpy(), "BF16" if bfloat else "F16") if kept.dtype != torch.float16 else tensor(scales)
    tensors = {"weight_scale": scale}
    if layout == "pack-quantized":
        tensors["weight_packed"] = tensor(pack_to_int32(signed, bits).numpy())
        tensors["weight_shape"] = tensor(np.array([ROWS, COLUMNS], dtype=np.int64))
        if not symmetric:
            tensors["weight_zero_point"] = tensor(pack_to_int32(points, bits, packed_dim=0).numpy())
    else:
        tensors["weight"] = tensor(signed.numpy())
        if not symmetric:
            tensors["weight_zero_point"] = tensor(points.numpy())
    weights = {"num_bits": bits, "type": "int", "symmetric": symmetric, "group_size": COLUMNS // groups}
    config = {"quant_method": "compressed-tensors", "format": layout, "config_groups": {"group_0": {"weights": weights}}}
    return {"name": name, "config": config, "tensors": tensors, "values": tensor(values(codes, scales, zeros, group_of))}


print(
    json.dumps(
        [
            gptq("GPTQ, 4 bits, symmetric", 4, 2, True),
            gptq("GPTQ, 4 bits, symmetric, second format", 4, 2, True, version="gptq_v2"),
            gptq("GPTQ, 4 bits, with zero points", 4, 4, False),
            gptq("GPTQ, 4 bits, columns in order of activation", 4, 2, True, act_order=True),
            gptq("GPTQ, 8 bits, symmetric", 8, 1, True),
            gptq("GPTQ, 2 bits", 2, 2, True),
            awq("AWQ", 2),
            compressed("compressed-tensors, 4 bits, symmetric", 4, 2, True, "pack-quantized"),
            compressed("compressed-tensors, 4 bits, symmetric, bf16 scales", 4, 2, True, "pack-quantized", bfloat=True),
            compressed("compressed-tensors, 4 bits, with zero points", 4, 2, False, "pack-quantized"),
            compressed("compressed-tensors, 8 bits in bytes", 8, 1, True, "int-quantized"),
            compressed("compressed-tensors, 8 bits in bytes, with zero points", 8, 1, False, "int-quantized"),
        ],
        separators=(",", ":"),
    )
)
