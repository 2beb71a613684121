"""One round of the game on a GPU, tinygan beside PyTorch, by the GPU's own clock; with its ten costliest kernels.

benchmarks/gpu.sh calls the parts, each a process of its own:

    step       FOLDER/step.json: milliseconds of the device and of the host, each model, batch and contender
    train      FOLDER/run: the default recipe, trained on the GPU
    profile    FOLDER/profile.json: which kernels a step of tinygan's spends the device's time in
    host       FOLDER/host.json, without a GPU (--dry): what a step costs the host

The host's time ends when all work is handed over; a step cannot take less than either. PyTorch draws its noise on the device,
and its batch lies there; tinygan uploads both each step, as a training does, and the time holds that.
"""
import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np

import tinygan as tg
from tinygan.fast.graph import Captured

from . import measure, work
from .player import Players

BATCHES = (32, 64, 256, 1024)
STEPS, ROUNDS = 10, 7                   # steps between two events; measurements of each contender, after one to warm up


def main(arguments):
    """Run one part."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks gpu", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--dry", action="store_true", help="on tests/cupy_on_cpu instead of a GPU, the smallest work")
    options = parser.parse_args(arguments)
    if options.dry:
        sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
        from cupy_on_cpu import emulation
        emulation.install()
    options.folder.mkdir(parents=True, exist_ok=True)
    PARTS[options.part](options.folder, options.dry)


def step(folder, dry):
    """Time every contender; what has been measured is written after each row."""
    record = {"command": "bash benchmarks/gpu.sh FOLDER" + " --dry" * dry, **measure.environment(), "rows": [], "notes": []}
    sizes = [(model, batch) for batch in ((2,) if dry else BATCHES) for model in work.MODELS]
    for model, batch in sizes:
        _measure(record, folder, model, batch, _on_the_cpu(model, batch), dry)
    record |= card()
    for contenders in (_tinygan, lambda model, batch: _torch(model, batch, record["notes"]), _graph):
        for model, batch in sizes:      # graphs last: an error of the device's own would end what comes after it
            _measure(record, folder, model, batch, contenders(model, batch), dry)


def card():
    """What GPU it is, and the software that drives it."""
    import cupy
    runtime, about = cupy.cuda.runtime, cupy.cuda.runtime.getDeviceProperties(0)
    name = about["name"]
    return {"card": name.decode() if isinstance(name, bytes) else name, "driver": runtime.driverGetVersion(),
            "cupy": cupy.__version__, "multiprocessors": about["multiProcessorCount"]}


def _measure(record, folder, model, batch, contenders, dry):
    for name, (play, clock, close) in contenders.items():
        try:
            clock(play, 4)              # compiles; and what is captured is captured by then
            rounds = [clock(play, 1 if dry or clock is _host_clock else STEPS) for _ in range(1 if dry else ROUNDS)]
            close()
        except Exception as error:
            _noted(record["notes"], f"{model} {batch} {name} failed: {type(error).__name__}: {error}")
            _keep(record, folder)
            continue
        device, host = zip(*rounds)
        record["rows"].append({"model": model, "batch": batch, "name": name, "device ms": float(np.median(device)),
                               "host ms": float(np.median(host)), "least": min(device), "most": max(device)})
        _keep(record, folder)
        print(f"{model:6} {batch:5} {name:24} {np.median(device):9.3f} ms, host {np.median(host):9.3f} ms", flush=True)


def _keep(record, folder):
    (folder / "step.json").write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


# The contenders, {name: (a function that plays one round, its clock, what to call at the end)}.
# A clock: (play, count) → (milliseconds of the device, of the host) per step.

def _on_the_cpu(model, batch):
    players = Players(model, batch, tg.group.chosen("auto", tg.group.ALONE, batch, "cpu")[0])
    return {"tinygan, CPU": (players, _host_clock, players.close)}


def _tinygan(model, batch, capture=lambda gan: gan.step, name="tinygan"):
    import cupy
    play, x = capture(tg.GAN(*(make() for make in work.MODELS[model])).to("cuda")), work.images(batch)
    return {name: (lambda: play(x), lambda *given: _event_clock(cupy.cuda.Event, cupy.cuda.get_elapsed_time, *given),
                   lambda: None)}


def _graph(model, batch):
    return _tinygan(model, batch, Captured, "tinygan, graph")


def _torch(model, batch, notes):
    """PyTorch eager, in channels_last, and as a CUDA graph; on the CPU, once, where it has no GPU."""
    try:
        import torch
        from . import pytorch
    except ImportError:
        return _noted(notes, "PyTorch is not installed: tinygan alone")
    device = "cuda" if torch.cuda.is_available() else "cpu"

    def made(layout, **options):
        G, D = (make() for make in work.MODELS[model])
        x = torch.tensor(work.images(batch).transpose(0, 3, 1, 2).copy(), device=device).contiguous(memory_format=layout)
        gan = pytorch.GAN(G, D, 100, layout, device=device, **options)
        return lambda: gan.step(x)

    if device == "cpu":
        _noted(notes, "PyTorch sees no GPU: it ran on the CPU, which says nothing of it on one")
        return {"PyTorch (CPU stand-in)": (made(torch.contiguous_format), _host_clock, lambda: None)}

    def clock(*given):
        return _event_clock(lambda: torch.cuda.Event(enable_timing=True), lambda a, b: a.elapsed_time(b), *given)

    contenders = {name: (made(layout), clock, lambda: None) for name, layout in (
        ("PyTorch", torch.contiguous_format), ("PyTorch channels_last", torch.channels_last))}
    return contenders | {"PyTorch CUDA graph": (_torch_graph(torch, made(torch.contiguous_format, capturable=True)), clock,
                                                lambda: None)}


def _torch_graph(torch, play):
    """The round captured, after a few on a stream of their own, as PyTorch's documentation asks for; replayed."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            play()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        play()
    return graph.replay


def _noted(notes, sentence):
    if sentence not in notes:
        notes.append(sentence)
    return {}


def _event_clock(event, elapsed, play, count):
    start, end = event(), event()
    start.record()
    begun = time.perf_counter()
    for _ in range(count):
        play()
    host = time.perf_counter() - begun
    end.record()
    end.synchronize()
    return elapsed(start, end) / count, 1000 * host / count


def _host_clock(play, count):
    """Where every call waits for its own result."""
    begun = time.perf_counter()
    for _ in range(count):
        play()
    ms = 1000 * (time.perf_counter() - begun) / count
    return ms, ms


def train(folder, dry):
    """The default recipe on the GPU; in a dry run the ring, five steps of it."""
    from tinygan import run
    name, steps = ("ring", 5) if dry else ("digits", 3000)
    run.train(name, folder / "run", steps=steps, device="cuda", overwrite=True)


def profile(folder, dry):
    """The ten costliest kernels of a step, by CUPTI through PyTorch's profiler, which sees all kernels of the process."""
    import cupy
    found = {"notes": []}
    try:
        import torch
        from torch.profiler import ProfilerActivity
        if not torch.cuda.is_available():
            raise ImportError("PyTorch sees no GPU")
    except ImportError as reason:
        found["notes"].append(f"no profile: {reason}")
    else:
        torch.zeros(1, device="cuda")
        for model in work.MODELS:
            play, *_ = _tinygan(model, 64)["tinygan"]
            for _ in range(5):
                play()
            with torch.profiler.profile(activities=[ProfilerActivity.CUDA]) as seen:
                for _ in range(STEPS):
                    play()
                cupy.cuda.Device().synchronize()
            rows = [{"kernel": event.key, "us": event.self_device_time_total / STEPS, "calls": event.count / STEPS}
                    for event in seen.key_averages() if event.self_device_time_total]
            found[model] = sorted(rows, key=lambda row: -row["us"])
    (folder / "profile.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def host(folder, dry):
    """FOLDER/host.json: what a step costs the host, on the emulation with a device that does nothing at all."""
    if not dry:
        raise tg.TinyganError("got the part host without --dry, expected it with: only the emulation's device can be idle")
    import cupy
    from cupy_on_cpu import emulation
    pool, found = cupy.cuda.MemoryPool.__base__(), {}      # CuPy's own, as on a GPU
    with cupy.cuda.using_allocator(pool.malloc):
        for model in work.MODELS:
            for name, (play, *_) in (_tinygan(model, 16) | _graph(model, 16)).items():      # any batch
                for _ in range(4):
                    play()
                emulation.idle(True)
                emulation.reset()
                play()
                counted = emulation.counters()
                ms = [_host_clock(play, STEPS)[0] for _ in range(ROUNDS)]
                emulation.idle(False)
                found[f"{model} {name}"] = {"ms": float(np.median(ms)), "least": min(ms), "most": max(ms), **counted}
                print(f"{model} {name}: {np.median(ms):.2f} ms; launches {counted['launches']}, products {counted['products']}")
    (folder / "host.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


PARTS = {"step": step, "train": train, "profile": profile, "host": host}
