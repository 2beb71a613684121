"""Benchmarks that train many GANs. Each training that ends adds a line to results/NAME.jsonl; what stands there is not
trained again, so that a benchmark that was stopped goes on where it was."""
import json
import multiprocessing
import os
import time

import numpy as np

from . import measure
from .report import RESULTS


def lines(name):
    """What has been trained so far: a list of {"job": …, "result": …, "seconds": …, "cores": …, "date": …}."""
    path = RESULTS / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def train_missing(name, jobs, play, processes):
    """play(job) → result, dicts that JSON can hold, for each job that has no line yet; the lines of all jobs, in order."""
    known = [line["job"] for line in lines(name)]
    missing = [job for job in jobs if job not in known]
    print(f"{name}: {len(jobs)} trainings, {len(jobs) - len(missing)} of them done", flush=True)
    RESULTS.mkdir(exist_ok=True)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")      # for the processes to come: one core each
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for line in pool.imap_unordered(_Timed(play), missing):
            with open(RESULTS / f"{name}.jsonl", "a", encoding="utf-8") as file:
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            print(f"{time.strftime('%H:%M:%S')}  {line['seconds']:5.0f} s  {line['job']}  {line['result']}", flush=True)
    found = lines(name)
    return [next(line for line in found if line["job"] == job) for job in jobs]


class _Timed:
    def __init__(self, play):
        self.play = play

    def __call__(self, job):
        start = time.perf_counter()
        result = self.play(job)
        return {"job": job, "result": result, "seconds": round(time.perf_counter() - start, 1),
                "cores": int(os.environ["OPENBLAS_NUM_THREADS"]), "date": time.strftime("%Y-%m-%d")}


def mean_and_error(values, form="{:.1f}"):
    """The mean ± its standard error s/√n, as text; the value itself where there is only one."""
    values = np.asarray(values, np.float64)
    if len(values) == 1:
        return form.format(values[0])
    return f"{form.format(values.mean())} ± {form.format(values.std(ddof=1) / np.sqrt(len(values)))}"


def write_page(name, title, command, date, parts):
    """results/NAME.md: what was measured, where, when and with which command, and the parts, lists of Markdown lines."""
    about = measure.environment()
    versions = ", ".join(f"{what} {version}" for what, version in about["versions"].items() if what != "torch")
    text = "\n".join([f"# {title}", "", f"`{command}`, finished on {date}; {about['processor']}, {versions}.",
                      *[line for part in parts for line in ["", *part]], ""])
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)
    print(f"written: {RESULTS / name}.md")
