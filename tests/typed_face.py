"""The public face, used as a course uses it: `mypy --strict` must have nothing to say of it, and it runs."""
import numpy as np

import tinygan as tg

points, modes = tg.data.ring(256)
G = tg.Sequential(tg.Dense(2, 8), tg.LeakyReLU(0.2), tg.BatchNorm(8), tg.Dense(8, 2))
D = tg.Sequential(tg.Dense(2, 8, bias=True), tg.Tanh(), tg.Dense(8, 1))
rng = np.random.default_rng(0)

x = tg.Tensor([0.5, 1.5], requires_grad=True)
y: tg.Tensor = ((2 * x - 1) ** 2 / x + x.tanh() @ np.eye(2) if x.ndim == 2 else x.exp().reshape(2, 1)).T.mean(axis=1)
gradient, = tg.grad(y, x, [1.0], create_graph=True)
number: float = gradient.sum().item() + float(y) + abs(-x)[0].item()
smaller: bool = bool((x < 1).any())


def play(generator: tg.Module, discriminator: tg.Module, steps: int) -> list[float]:
    g_adam, d_sgd = tg.Adam(generator.parameters(), lr=1e-3), tg.SGD(discriminator.parameters(), 0.1)
    losses = []
    for _ in range(steps):
        z = rng.standard_normal((16, 2)).astype(np.float32)
        with tg.no_grad():
            fakes = generator(z)
        d_sgd.zero_grad()
        penalty = tg.losses.r1_penalty(discriminator, points[:16])
        (tg.losses.discriminator_loss(discriminator(points[:16]), discriminator(fakes)) + 0.1 * penalty).backward()
        d_sgd.step()
        g_adam.zero_grad()
        loss = tg.losses.generator_loss(discriminator(generator(z)))
        loss.backward(inputs=generator.parameters())
        g_adam.step()
        losses.append(loss.item())
    return losses


def note(gan: tg.GAN, metrics: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]) -> None:
    if gan.steps == 2:
        raise tg.StopTraining


tg.seed(0)
total: float = sum(play(G, D, 2))
print(tg.check_gradients(D, rng.standard_normal((3, 2)), order=2).max_error < 1e-5)
gan = tg.GAN(G, D, latent=2, loss="hinge", d_optimizer=tg.Adam(D.parameters()), r1=0.1)
history: dict[str, list[float]] = gan.fit(points, 5, batch_size=32, callbacks=[note])
samples = gan.to("cpu").sample(4, seed=1)
with tg.plain():
    logits = gan.discriminator.eval()(samples)
state = G.astype(np.float64).state_dict()
tape: str = tg.draw(tg.ops.softplus(logits).sum(), D=D).source
score: float = tg.metrics.mode_score(samples, points[:8], 0.01).quality
picture = tg.plots.scatter(samples)
by_hand = tg.play(gan, points)
played: tg.GAN = by_hand.gan
by_hand.stop()
works, reason = tg.backend.available("cuda")
print(tg.__version__, samples.shape, tg.to_numpy(logits).mean(), G.load_state_dict(state), len(history["d_loss"]))
