"""What has a GAN learned of digits, and where inside it is that to be seen? Six looks.

G and D have seen no label; the classifier that names the samples has seen real digits only.

 walk        between two z, on the great circle and on the straight line. N(0, I) in 100 dimensions lies near the norm
             √100 = 10; the middle of a line has norm 7.1, where G was hardly ever asked (White 2016, section 2.1)
 arithmetic  z̄_c is the mean of the z whose images are named c. z − z̄_a + z̄_b: does the a become a b? (Radford et al.
             2016, section 6.3.2, with faces; beside it z plus a random direction of the same length)
 unit        one of the 64 channels of 7×7 in G switched off or up (Bau et al., "GAN Dissection", 2019, section 3.2)
 gradient    ∂D(x)/∂x: which ink would make D believe more (Simonyan et al. 2014, section 3, of a classifier)
 nearest     the training digit nearest to a sample, by ‖x − y‖. Copies would lie at 0; the distance from test digits to
             the training digits says how near digits come that are no copies
 overlap     how many kernel positions of a transposed convolution paint each pixel: ones in, ones as weights. Kernel 5
             with stride 2 paints every second pixel more often, a checkerboard that the weights must learn to undo;
             kernel 4 does not (Odena et al., "Deconvolution and Checkerboard Artifacts", 2016)

What to expect: both ways pass through digits and through strokes that are none, and on the straight line the strokes
swell in the middle: where z is short, G paints thick, and so it does at z̄_c, which is shorter still. Arithmetic moves z to
the right region more often than chance but far from always: nothing in the game asks that directions have a meaning, and
z̄₇ − z̄₁ + z̄₀ has none to begin with; often what was added comes out. No unit is a stroke: without one, strokes get thinner
or fainter here and there, for the units share the work.
"""
import numpy as np

import tinygan as tg
from tinygan.look import animation, metrics, plots

from . import fit

LATENT, BATCH, LR = 100, 32, 1e-3
LAYERS_BEFORE_UNIT = 7                      # in G; they give 7×7×64
WALK_FRACTIONS = np.linspace(0, 1, 11)      # of the way from one z to the next


def names(images):
    """What the classifier says: class (N,) and its probability (N,)"""
    with tg.no_grad():
        p = tg.losses.softmax(metrics.classifier()(images)).data
    return p.argmax(axis=1), p.max(axis=1)


def line(a, b, parts):
    """The straight way, (len(parts), dimensions)"""
    return a + parts[:, None] * (b - a)


def ink(images):
    """How many black pixels each image would fill, (N,)"""
    return (images + 1).sum(axis=(1, 2, 3)) / 2


def walk(it, gan):
    pairs = gan_noise(it, 1, 2 * 100).reshape(100, 2, LATENT)
    pairs = np.sqrt(LATENT) * pairs / np.linalg.norm(pairs, axis=2, keepdims=True)
    rows = []
    for way, between in (("straight line", line), ("great circle", animation.slerp)):
        z = np.stack([between(a, b, WALK_FRACTIONS) for a, b in pairs])                 # (100, 11, latent)
        images = gan.generate(z.reshape(-1, LATENT)).reshape(*z.shape[:2], 28, 28, 1)
        middle = len(WALK_FRACTIONS) // 2
        it.found(f"walk, {way}: ‖z‖ in the middle", np.linalg.norm(z[:, middle], axis=1).mean(), "{:.2f}")
        it.found(f"walk, {way}: ink in the middle, in pixels", ink(images[:, middle]).mean(), "{:.0f}")
        it.found(f"walk, {way}: classifier's confidence in the middle", names(images[:, middle])[1].mean(), "{:.3f}")
        rows.append([(f"{way} {k + 1}", images[k]) for k in range(3)])
    it.found("walk: classifier's confidence at its beginning", names(images[:, 0])[1].mean(), "{:.3f}")
    plots.rows([row for both in zip(*rows) for row in both], it.folder / "walk.png", "From one z to another, two ways")


def arithmetic(it, gan):
    z = gan_noise(it, 2, 5000)
    named, sure = names(gan.generate(z))
    chosen = [z[(named == c) & (sure > 0.9)] for c in range(10)]
    means = np.stack([some.sum(axis=0) / max(len(some), 1) for some in chosen])         # (10, latent)
    a, b = named[:1000], (named[:1000] + it.rng(3).integers(1, 10, 1000)) % 10          # b: the class that it should become
    offset = means[b] - means[a]
    random = it.rng(4).standard_normal(offset.shape)
    random *= np.linalg.norm(offset, axis=1, keepdims=True) / np.linalg.norm(random, axis=1, keepdims=True)
    moved, elsewhere = gan.generate(z[:1000] - means[a] + means[b]), gan.generate(z[:1000] + random)
    for what, images in (("z − z̄_a + z̄_b", moved), ("the same length in a random direction", elsewhere)):
        it.found(f"arithmetic: {what} named b", 100 * (names(images)[0] == b).mean(), "{:.1f} %")
    sums = [(7, 1, 0), (9, 4, 6), (8, 3, 5), (4, 9, 7)]
    results = gan.generate(np.stack([means[i] - means[j] + means[k] for i, j, k in sums]))
    for (i, j, k), name, p in zip(sums, *names(results)):
        it.say(f"G(z̄{i} − z̄{j} + z̄{k}) is named {name}, with probability {p:.2f}")
    G_of_means = gan.generate(means)
    it.found("arithmetic: of the ten G(z̄_c), named c", (names(G_of_means)[0] == np.arange(10)).sum(), "{:.0f}")
    plots.rows([("G(z̄₀) … G(z̄₉)", G_of_means), ("G(z), named a", gan.generate(z[:10])),
                ("b is " + ", ".join(map(str, b[:10])) + "\nG(z − z̄_a + z̄_b)", moved[:10])],
               it.folder / "arithmetic.png", "Arithmetic with z")


def unit(it, gan):
    layers = gan.averaged.layers
    before, after = tg.Sequential(*layers[:LAYERS_BEFORE_UNIT]), tg.Sequential(*layers[LAYERS_BEFORE_UNIT:])
    with tg.no_grad():
        h = before.eval()(gan_noise(it, 5, 100)).data                                   # (100, 7, 7, 64)
        images = after.eval()(h).data

        def times(c, factor):
            return after(np.where(np.arange(h.shape[3]) == c, np.float32(factor) * h, h)).data

        effect = np.array([np.abs(times(c, 0) - images).mean() for c in range(h.shape[3])])
        order, was = np.argsort(-effect), names(images)[0]
        it.found("unit: change of the image when the strongest of 64 is off, over the median one's",
                 effect[order[0]] / np.median(effect), "{:.1f}")
        without = names(times(order[0], 0))[0]
        it.found("unit: samples named otherwise without it", 100 * (without != was).mean(), "{:.0f} %")
        rows = [("G(z)", images[:8])]
        for c in order[:2]:
            off, up = times(c, 0)[:8], times(c, 3)[:8]
            rows += [(f"unit {c} off", off), ("times 3", up), ("off − G(z)", off - images[:8])]
    plots.rows(rows, it.folder / "unit.png", "What one unit paints (difference: black more ink, white less)")


def gradient(it, gan):
    rows = []
    for who, images in (("sample", gan.generate(gan_noise(it, 6, 200))), ("real", it.test[0][:200])):
        x = tg.Tensor(images, requires_grad=True)
        g = tg.grad(tg.ops.sum(gan.discriminator(x)), x)[0].data                        # D(xᵢ) depends on xᵢ alone
        near = np.stack([np.roll(images, (i, j), (1, 2)) for i in (-1, 0, 1) for j in (-1, 0, 1)]).max(axis=0) > 0
        it.found(f"gradient, {who}: share of ‖∂D/∂x‖² on ink and next to it",
                 100 * (g ** 2)[near].sum() / (g ** 2).sum(), "{:.0f} %")
        it.found(f"gradient, {who}: share of the pixels there", 100 * near.mean(), "{:.0f} %")
        shades = g[:10] / np.abs(g[:10]).max(axis=(1, 2, 3), keepdims=True)
        rows += [(who, images[:10]), ("∂D/∂x", shades)]
    plots.rows(rows, it.folder / "gradient.png", "Where D would have more ink (black) and less (white)")


def nearest(it, gan):
    from sklearn.neighbors import NearestNeighbors
    train, test = it.train[0], it.test[0][:1000]
    search = NearestNeighbors(n_neighbors=1).fit(train.reshape(len(train), -1))
    samples = gan.sample(1000, it.seed + 1)
    for who, images in (("sample", samples), ("test digit", test)):
        index = search.kneighbors(images.reshape(len(images), -1), return_distance=False)[:, 0]
        distance = np.sqrt(((images - train[index]) ** 2).sum(axis=(1, 2, 3)))
        it.found(f"nearest: mean distance of a {who} to the nearest training digit", distance.mean(), "{:.2f}")
        it.found(f"nearest: smallest distance of a {who}", distance.min(), "{:.2f}")
        if who == "sample":
            plots.rows([("sample", images[:10]), ("nearest\ntraining digit", train[index[:10]])],
                       it.folder / "nearest.png", "Did G learn digits by heart?")


def overlaps(kernel, size=16):
    """How often each pixel (size, size) away from the border is painted by a transposed convolution with stride 2."""
    layer = tg.Conv2DTranspose(1, 1, kernel, stride=2, padding=0, bias=False)
    layer.weight.data = np.ones_like(layer.weight.data)
    return layer(np.ones((1, size, size, 1), np.float32)).data[0, 6:6 + size, 6:6 + size]


def overlap(it):
    counts = {kernel: overlaps(kernel) for kernel in (5, 4)}
    for kernel, count in counts.items():
        ratio = count.max() / count.min()
        it.found(f"overlap: largest over smallest count, kernel {kernel} with stride 2", ratio, "{:.2f}")
    plots.rows([("painted so often:\nblack 9, white 0", np.stack([count / 4.5 - 1 for count in counts.values()]))],
               it.folder / "overlap.png", "Kernel 5 and kernel 4, stride 2")


def gan_noise(it, stream, n):
    """z ~ N(0, I), (n, latent)"""
    return it.rng(stream).standard_normal((n, LATENT)).astype(np.float32)


def lesson(it):
    G, D = tg.models.small_generator(LATENT, it.seed), tg.models.small_discriminator(it.seed)
    gan = tg.GAN(G, D, LATENT, g_optimizer=tg.Adam(G.parameters(), LR), d_optimizer=tg.Adam(D.parameters(), LR),
                 averaging=0.99, seed=it.seed)
    fit(gan, it.train[0], it.steps(4500, 20000), BATCH)                         # README's twenty lines, ready-made
    walk(it, gan)
    arithmetic(it, gan)
    unit(it, gan)
    gradient(it, gan)
    nearest(it, gan)
    overlap(it)
