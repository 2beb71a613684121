"""The same game in PyTorch, float64: every loss of 20 alternating steps and every final parameter."""
import copy

import numpy as np
import pytest

import tinygan as tg

torch = pytest.importorskip("torch", reason="the comparison needs PyTorch: pip install '.[bench]'")
F = torch.nn.functional


class Twin:
    """A tinygan network's architecture and weights, computed by PyTorch in its own layout (NCHW)."""

    def __init__(self, network):
        self.layers = network.layers
        self.parameters = [torch.tensor(p.data, requires_grad=True) for p in network.parameters()]

    def __call__(self, x):
        weights = iter(self.parameters)
        for layer in self.layers:
            x = self.apply(layer, x, weights)
        return x

    def apply(self, layer, x, weights):
        kind = type(layer).__name__
        if kind == "Dense":
            x = x @ next(weights)
            return x + next(weights) if hasattr(layer, "bias") else x
        if kind in ("Conv2D", "Conv2DTranspose"):
            w = next(weights).permute(3, 2, 0, 1)
            b = next(weights) if hasattr(layer, "bias") else None
            K, S, size = layer.kernel_size, layer.stride, x.shape[2]
            if kind == "Conv2D":
                total = max((-(-size // S) - 1) * S + K - size, 0) if layer.padding == "same" else 2 * layer.padding
                before = total // 2
                return F.conv2d(F.pad(x, (before, total - before) * 2), w, b, stride=S)
            full = F.conv_transpose2d(x, w, b, stride=S)
            if layer.padding == "same":
                start, length = (K - S) // 2, size * S
            else:
                start, length = layer.padding, full.shape[2] - 2 * layer.padding
            return full[:, :, start:start + length, start:start + length]
        if kind == "BatchNorm":
            gamma, beta = next(weights), next(weights)
            return F.batch_norm(x, None, None, gamma, beta, training=True, eps=layer.eps)
        if kind == "LeakyReLU":
            return F.leaky_relu(x, layer.slope)
        if kind == "Reshape":
            return x.reshape(len(x), *layer.shape).permute(0, 3, 1, 2)
        if kind == "Flatten":
            return x.permute(0, 2, 3, 1).reshape(len(x), -1) if x.ndim == 4 else x.reshape(len(x), -1)
        return torch.tanh(x)


def seed_like(batch_norm):
    """The seed model's structure and conventions, a few channels wide."""
    def norm(n):
        return tg.BatchNorm(n, momentum=0.99, eps=1e-3)

    G = tg.Sequential(tg.Dense(6, 7 * 7 * 6, bias=False), norm(7 * 7 * 6), tg.LeakyReLU(0.3), tg.Reshape(7, 7, 6),
                      tg.Conv2DTranspose(6, 4, 5, stride=2), norm(4), tg.LeakyReLU(0.3),
                      tg.Conv2DTranspose(4, 3, 5, stride=2), norm(3), tg.LeakyReLU(0.3),
                      tg.Conv2DTranspose(3, 1, 7), tg.Tanh())
    blocks = [tg.Flatten()]
    for a, b in ((784, 20), (20, 12), (12, 8)):
        blocks += [tg.Dense(a, b, bias=False), *([norm(b)] if batch_norm else []), tg.LeakyReLU(0.3)]
    return G, tg.Sequential(*blocks, tg.Dense(8, 1, bias=False)), 6


MODELS = {"seed with batch norm": lambda: seed_like(True), "seed without": lambda: seed_like(False),
          "small": lambda: (tg.models.small_generator(), tg.models.small_discriminator(), 100)}
SOFTPLUS = {"non_saturating": lambda a: F.softplus(-a).mean(), "saturating": lambda a: -F.softplus(a).mean()}


@pytest.mark.parametrize("loss", SOFTPLUS)
@pytest.mark.parametrize("model", MODELS)
def test_twenty_alternating_steps(model, loss):
    G, D, latent = MODELS[model]()
    G, D = G.astype(np.float64), D.astype(np.float64)
    gan = tg.GAN(G, D, latent=latent, loss=loss, seed=4)
    g_twin, d_twin, rng = Twin(G), Twin(D), copy.deepcopy(gan.rng)
    g_adam = torch.optim.Adam(g_twin.parameters, lr=2e-4, betas=(0.5, 0.999))
    d_adam = torch.optim.Adam(d_twin.parameters, lr=2e-4, betas=(0.5, 0.999))
    images = tg.data.digits()[0].astype(np.float64)
    for step in range(20):
        batch = images[8 * step:8 * step + 8]
        metrics = gan.step(batch)
        x = torch.tensor(batch.transpose(0, 3, 1, 2).copy())
        z1, z2 = (torch.tensor(rng.standard_normal((8, latent))) for _ in "12")
        with torch.no_grad():
            fakes = g_twin(z1)
        d_loss = F.softplus(-d_twin(x)).mean() + F.softplus(d_twin(fakes)).mean()
        d_adam.zero_grad()
        d_loss.backward()
        d_adam.step()
        g_loss = SOFTPLUS[loss](d_twin(g_twin(z2)))
        g_adam.zero_grad()
        g_loss.backward()
        g_adam.step()
        assert abs(float(metrics["d_loss"]) - d_loss.item()) < 1e-10
        assert abs(float(metrics["g_loss"]) - g_loss.item()) < 1e-10
    for mine, twin in ((G, g_twin), (D, d_twin)):
        for (name, p), q in zip(mine.named_parameters(), twin.parameters):
            # A bias before batch norm has gradient 0; Adam divides its rounding error by the rounding error's own size.
            after = mine.layers[int(name.split(".")[1]) + 1:]
            idle = name.endswith("bias") and bool(after) and isinstance(after[0], tg.BatchNorm)
            np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=0, atol=1e-8 if idle else 1e-10, err_msg=name)


def test_gradient_penalty_by_double_backpropagation(rng):
    D = tg.Sequential(tg.Conv2D(1, 3, 4, stride=2), tg.LeakyReLU(0.2), tg.Flatten(), tg.Dense(3 * 49, 1))
    D.astype(np.float64)
    real, fake = rng.standard_normal((2, 5, 14, 14, 1))
    penalty = tg.losses.gradient_penalty(D, real, fake, np.random.default_rng(2))
    mine = tg.grad(penalty, D.parameters())
    u, twin = np.random.default_rng(2).random((5, 1, 1, 1)), Twin(D)
    x = torch.tensor((u * real + (1 - u) * fake).transpose(0, 3, 1, 2).copy(), requires_grad=True)
    slope, = torch.autograd.grad(twin(x).sum(), x, create_graph=True)
    theirs = ((slope.flatten(1).norm(dim=1) - 1) ** 2).mean()
    assert abs(float(penalty) - theirs.item()) < 1e-12
    for a, b in zip(mine, torch.autograd.grad(theirs, twin.parameters, allow_unused=True)):
        np.testing.assert_allclose(a.data, 0 if b is None else b.numpy(), atol=1e-12)
