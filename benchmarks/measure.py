"""How times are taken here: in rounds in which every contender has its turn, A B C A B C, so that whatever the machine
does in the meantime it does to all of them. A turn is at least one call that is not timed, which brings its data back into
the caches, and goes on until the other library's threads have come to rest (OpenBLAS's and OpenMP's spin for a while after
their work, on a core that the next one wants); then comes one that is.

What is reported is the median and the range over the rounds, and of two contenders the ratio within each round: a
ratio of two medians would mix different moments.
"""
import os
import platform
import time

import numpy as np
import threadpoolctl

WARM = 0.15                     # s, after which the other library's threads are at rest


def rounds(contenders, count):
    """{name: seconds of each round} for {name: function without arguments}; every function waits for its own result."""
    times = {name: [] for name in contenders}
    for function in contenders.values():
        function()
    for _ in range(count):
        for name, function in contenders.items():
            end = time.perf_counter() + WARM
            while time.perf_counter() < end:
                function()
            start = time.perf_counter()
            function()
            times[name].append(time.perf_counter() - start)
    return times


def summary(seconds):
    """Median and range of a list of times, in milliseconds."""
    ms = 1000 * np.array(seconds)
    return {"median_ms": float(np.median(ms)), "min_ms": float(ms.min()), "max_ms": float(ms.max()), "rounds": len(ms)}


def ratio(ours, theirs):
    """Median and quartiles of ours/theirs, round by round. Below 1 we are faster."""
    low, median, high = np.percentile(np.array(ours) / np.array(theirs), [25, 50, 75])
    return {"median": float(median), "quartiles": [float(low), float(high)]}


def blas():
    """The BLAS that NumPy calls: threadpoolctl's description of it, an empty dict if there is none that it knows."""
    found = [library for library in threadpoolctl.threadpool_info() if library["user_api"] == "blas"]
    told = ("internal_api", "version", "architecture", "num_threads")
    return {key: found[0].get(key) for key in told} if found else {}


def environment():
    """Everything that a reader needs in order to take the same measurement."""
    versions = {"python": platform.python_version(), "numpy": np.__version__}
    try:
        import torch
        versions["torch"] = torch.__version__
    except ImportError:
        pass
    return {"date": time.strftime("%Y-%m-%d"), "processor": _processor(), "cores": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}", "blas": blas(), "versions": versions,
            "settings": {name: value for name, value in os.environ.items()
                         if name.startswith(("OPENBLAS_", "OMP_", "MKL_"))}}


def _processor():
    """The processor's name with the vector instructions that decide its speed."""
    try:
        with open("/proc/cpuinfo") as file:
            lines = dict(line.split(":", 1) for line in file.read().split("\n\n")[0].splitlines() if ":" in line)
    except OSError:
        return platform.processor() or platform.machine()
    about = {key.strip(): value.strip() for key, value in lines.items()}
    vectors = [name for name in ("avx2", "avx512f") if name in about.get("flags", "").split()]
    return " ".join([about.get("model name", platform.machine()), *vectors])
