"""Every layer by itself."""
import numpy as np

import tinygan as tg

from . import measure, work


def layers(count, devices, dry):
    """each layer of both generators and discriminators, forward and backward, beside PyTorch's, batch 64"""
    batch, rows = 2 if dry else 64, []
    for model in ["small"] if dry else work.MODELS:
        for make, x in zip(work.MODELS[model], (np.zeros((batch, 100), np.float32), work.images(batch))):
            rows += _network(model, make(), x, count)
    for row in rows:
        same = [r["forward ms"] + r["backward ms"] for r in rows if r["name"].split()[0] == row["name"].split()[0]]
        row["share"] = (row["forward ms"] + row["backward ms"]) / sum(same)
    return {"title": f"Layer by layer, batch {batch}", "rows": rows,
            "columns": ["forward ms", "backward ms", "GFLOP/s", "share", "forward ÷ PyTorch", "backward ÷ PyTorch"],
            "notes": ["share: of the sum over the model's layers, each forward and backward once",
                      "backward: all gradients; PyTorch in channels_last"]}


def _network(model, network, x, count):
    rng, size, rows = np.random.default_rng(0), 28 if x.ndim == 4 else None, []
    flops = work.operations(network, len(x), size)
    for layer, operations in zip(network.layers, flops):
        x = rng.standard_normal(x.shape).astype(np.float32)
        contenders, y = _tinygan(layer, x, rng)
        twin, size = _torch(layer, x, size)
        times = measure.rounds({**contenders, **twin}, count)
        forward, backward = (measure.summary(times[name])["median_ms"] for name in ("forward", "backward"))
        row = {"name": f"{model} {layer}", "forward ms": forward, "backward ms": backward,
               "GFLOP/s": 3 * operations / (forward + backward) / 1e6 if operations else None}
        for way in ("forward", "backward"):
            if f"torch {way}" in times:
                row[f"{way} ÷ PyTorch"] = measure.ratio(times[way], times[f"torch {way}"])["median"]
        rows.append(row)
        x = y
    return rows


def _tinygan(layer, x, rng):
    inputs = [tg.Tensor(x, requires_grad=True), *layer.parameters()]
    y = layer(inputs[0])
    cotangent = rng.standard_normal(y.shape).astype(np.float32)

    def forward():
        with tg.no_grad():
            layer(x)

    return {"forward": forward, "backward": lambda: tg.grad(y, inputs, cotangent)}, y.data


def _torch(layer, x, size):
    try:
        import torch
        from . import pytorch
    except ImportError:
        return {}, size
    module, size = pytorch.module_of(layer, size)
    module.to(memory_format=torch.channels_last)
    x = torch.tensor(x if x.ndim == 2 else x.transpose(0, 3, 1, 2).copy())
    if x.ndim == 4:
        x = x.contiguous(memory_format=torch.channels_last)
    x.requires_grad_()
    y = module(x)
    cotangent = torch.randn_like(y)

    def forward():
        with torch.no_grad():
            module(x)

    def backward():
        torch.autograd.grad(y, [x, *module.parameters()], cotangent, retain_graph=True)

    return {"torch forward": forward, "torch backward": backward}, size
