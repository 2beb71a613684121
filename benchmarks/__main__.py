"""python -m benchmarks [NAME …]: run benchmarks, print their tables, write results/NAME.json and results/NAME.png."""
import argparse
import sys

from . import gpu, gpu_report, lessons, modes, recipes, report, stabilisers
from .layers import layers
from .memory import memory
from .scaling import scaling
from .step import gemm, step
from .workers import workers

BENCHMARKS = {"gemm": gemm, "step": step, "layers": layers, "workers": workers, "scaling": scaling,
              "memory": memory}
TRAININGS = {"modes": modes, "stabilisers": stabilisers, "recipes": recipes, "lessons": lessons,
             "gpu": gpu, "gpu-report": gpu_report}                              # with their own options


def main():
    if sys.argv[1:2] and sys.argv[1] in TRAININGS:
        return TRAININGS[sys.argv[1]].main(sys.argv[2:])
    about = "\n".join([f"  {name:12} {function.__doc__.splitlines()[0]}" for name, function in BENCHMARKS.items()]
                      + [f"  {name:12} {module.__doc__.splitlines()[0]} (NAME --help)" for name, module in TRAININGS.items()])
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, epilog=about,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="all of them if none is given")
    parser.add_argument("--rounds", type=int, default=12, help="how often each contender is timed (12)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cpu,cuda: where the steps are timed (cpu)")
    parser.add_argument("--dry", action="store_true", help="two rounds of the smallest work, nothing is written")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown or not set(options.device.split(",")) <= {"cpu", "cuda"}:
        parser.error(f"got {' '.join(unknown) or options.device}, "
                     f"expected some of {', '.join(BENCHMARKS)}, on cpu or cuda")
    for name in options.names or BENCHMARKS:
        result = BENCHMARKS[name](2 if options.dry else options.rounds, options.device.split(","), options.dry)
        print(report.table(result))
        if not options.dry:
            report.write(name, result, command=" ".join(["python -m benchmarks", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
