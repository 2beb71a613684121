"""The same networks and the same step in PyTorch, written as one writes it there: torch.nn modules, NCHW, Adam.

One difference: a "same" transposed convolution with an odd crop loses its odd row at the end of the image in tinygan
(TensorFlow's rule), at its start in PyTorch, where output_padding can only do that. Mirror image and kernels, and it is
the same network; the work is equal.
"""
import numpy as np
import torch
from torch import nn

import tinygan as tg


class _FromChannelsLast(nn.Module):
    """(N, H·W·C) → (N, C, H, W): tinygan's Reshape, for the weights to keep their meaning."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape).permute(0, 3, 1, 2)


class _ToChannelsLast(nn.Module):
    """(N, C, H, W) → (N, H·W·C): tinygan's Flatten."""

    def forward(self, x):
        return x.permute(0, 2, 3, 1).flatten(1)


def module_of(layer, size):
    """(the torch module that does what a tinygan layer does, with its weights; height of the images behind it)."""
    bias = hasattr(layer, "bias")
    if isinstance(layer, tg.Dense):
        module = nn.Linear(layer.in_features, layer.out_features, bias=bias)
        _copy(module.weight, layer.weight.data.T)
    elif isinstance(layer, tg.Conv2D):
        K, S = layer.kernel_size, layer.stride
        steps = -(-size // S) if layer.padding == "same" else (size + 2 * layer.padding - K) // S + 1
        pad = ((steps - 1) * S + K - size) // 2 if layer.padding == "same" else layer.padding
        module = nn.Conv2d(layer.in_channels, layer.out_channels, K, stride=S, padding=pad, bias=bias)
        _copy(module.weight, layer.weight.data.transpose(3, 2, 0, 1))
        size = steps
    elif isinstance(layer, tg.Conv2DTranspose):
        K, S = layer.kernel_size, layer.stride
        crop = max(K - S, 0) if layer.padding == "same" else 2 * layer.padding
        module = nn.ConvTranspose2d(layer.in_channels, layer.out_channels, K, stride=S, padding=-(-crop // 2),
                                    output_padding=crop % 2, bias=bias)
        _copy(module.weight, layer.weight.data.transpose(3, 2, 0, 1))
        size = S * (size - 1) + K - crop
    elif isinstance(layer, tg.BatchNorm):
        kind = nn.BatchNorm1d if size is None else nn.BatchNorm2d
        module = kind(layer.features, eps=layer.eps, momentum=1 - layer.momentum)
    elif isinstance(layer, tg.Reshape):
        module, size = _FromChannelsLast(layer.shape), layer.shape[0]
    elif isinstance(layer, tg.Flatten):
        module, size = _ToChannelsLast(), None
    else:
        module = {"LeakyReLU": lambda: nn.LeakyReLU(layer.slope), "Tanh": nn.Tanh}[type(layer).__name__]()
    if bias:
        _copy(module.bias, layer.bias.data)
    return module, size


def _copy(parameter, array):
    with torch.no_grad():
        parameter.copy_(torch.from_numpy(np.ascontiguousarray(array)))


def network_of(network, size=None):
    """A tinygan Sequential as a torch Sequential with equal weights. size: height of the images it takes, if it does."""
    modules = []
    for layer in network.layers:
        module, size = module_of(layer, size)
        modules.append(module)
    return nn.Sequential(*modules)


class GAN:
    """tinygan's step, line by line. memory_format: torch.contiguous_format or torch.channels_last. capturable: by a
    CUDA graph, as Adam counts its steps on the device then."""

    def __init__(self, generator, discriminator, latent, memory_format, lr=2e-4, device="cpu", capturable=False):
        self.G = network_of(generator).to(device, memory_format=memory_format)
        self.D = network_of(discriminator, 28).to(device, memory_format=memory_format)
        self.g_adam, self.d_adam = (torch.optim.Adam(network.parameters(), lr=lr, betas=(0.5, 0.999), capturable=capturable)
                                    for network in (self.G, self.D))
        self.latent, self.device, self.memory_format = latent, device, memory_format

    def step(self, x):
        """One round of the game on a batch (N, 1, H, W)."""
        softplus = nn.functional.softplus
        with torch.no_grad():
            fakes = self.G(self.noise(len(x)))
        d_loss = softplus(-self.D(x)).mean() + softplus(self.D(fakes)).mean()
        self.d_adam.zero_grad()
        d_loss.backward()
        self.d_adam.step()

        self.D.requires_grad_(False)        # through D, whose own gradients nobody needs here
        g_loss = softplus(-self.D(self.G(self.noise(len(x))))).mean()
        self.g_adam.zero_grad()
        g_loss.backward()
        self.g_adam.step()
        self.D.requires_grad_(True)
        return d_loss.detach(), g_loss.detach()

    def noise(self, n):
        return torch.randn(n, self.latent, device=self.device)
