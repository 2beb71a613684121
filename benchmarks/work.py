"""What is timed: the two models, one step of each, and how many floating-point operations that is."""
import numpy as np

import tinygan as tg

MODELS = {"seed": (tg.models.seed_generator, tg.models.seed_discriminator),
          "small": (tg.models.small_generator, tg.models.small_discriminator)}


def images(n):
    """n digits, float32, (n, 28, 28, 1)."""
    return np.ascontiguousarray(tg.data.digits()[0][:n])


def tinygan_step(model, batch, device="cpu"):
    """A function that plays one round on `batch` images and waits until it is done."""
    G, D = (make() for make in MODELS[model])
    gan = tg.GAN(G, D).to(device)
    x = images(batch)
    if device == "cpu":
        return lambda: gan.step(x)
    return lambda: tg.to_numpy(gan.step(x)["g_loss"])       # the transfer waits for the device


def torch_steps(model, batch, device="cpu"):
    """{name: the same round in PyTorch}, in its two memory formats; empty without PyTorch, or without its CUDA."""
    try:
        import torch
        from . import pytorch
    except ImportError:
        return {}
    if device == "cuda" and not torch.cuda.is_available():
        return {}
    steps = {}
    for name, layout in (("PyTorch", torch.contiguous_format), ("PyTorch channels_last", torch.channels_last)):
        G, D = (make() for make in MODELS[model])
        gan = pytorch.GAN(G, D, 100, layout, device=device)
        x = torch.tensor(images(batch).transpose(0, 3, 1, 2).copy(), device=device).contiguous(memory_format=layout)
        steps[name] = lambda gan=gan, x=x: gan.step(x)[1].item()
    return steps


def operations(network, batch, size=None):
    """Floating-point operations of each layer's matrix products in one forward pass, two for a multiply-add."""
    counts = []
    for layer in network.layers:
        count = 0
        if isinstance(layer, tg.Dense):
            count = 2 * layer.in_features * layer.out_features
        elif isinstance(layer, (tg.Conv2D, tg.Conv2DTranspose)):
            before, size = size, layer(np.zeros((1, size, size, layer.in_channels), np.float32)).shape[1]
            positions = min(before, size) ** 2              # each meets the whole kernel
            count = 2 * positions * layer.kernel_size ** 2 * layer.in_channels * layer.out_channels
        elif isinstance(layer, tg.Reshape):
            size = layer.shape[0]
        counts.append(batch * count)
    return counts


def step_operations(model, batch):
    """Of one round: G forward twice and backward once; D forward three times, backward twice with the gradients of its
    weights and once without. Each gradient of a product is a product of the same size; that of noise is not taken."""
    G, D = (operations(make(), batch, size) for make, size in zip(MODELS[model], (None, 28)))
    g, d = sum(G), sum(D)
    first_g, first_d = (next(count for count in counts if count) for counts in (G, D))
    return 2 * g + (2 * g - first_g) + 3 * d + 2 * (2 * d - first_d) + d
