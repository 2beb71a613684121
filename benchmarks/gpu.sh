#!/usr/bin/env bash
# All that a GPU can tell about tinygan, in nine minutes at most:   bash benchmarks/gpu.sh FOLDER [--dry]
#
# Needs NumPy, matplotlib, threadpoolctl, tqdm, CuPy, pytest and hypothesis; PyTorch, where it is there, is compared with.
# Nothing is downloaded. Each part has its time; what one did not end with does not keep the next from running.
# --dry: without a GPU, the smallest work on tests/cupy_on_cpu, to see that the script runs.
set -u
cd "$(dirname "$0")/.."
export PYTHONPATH=$PWD PYTHONUNBUFFERED=1
folder=${1:?got no folder, expected one for the results: bash benchmarks/gpu.sh FOLDER}
dry=${2:-}
mkdir -p "$folder"

part() {                                # NAME SECONDS COMMAND …: its output goes to FOLDER/NAME.txt too
    local name=$1 seconds=$2 begun=$SECONDS
    shift 2
    echo "== $name: $*"
    timeout "$seconds" "$@" 2>&1 | tee "$folder/$name.txt"
    echo "== $name: exit status ${PIPESTATUS[0]} after $((SECONDS - begun)) s" | tee -a "$folder/$name.txt"
}

if [ -n "$dry" ]; then
    suite=(--device cupy-on-cpu tests/test_devices.py -k "optimisers or costs")
    graphs=(--device cupy-on-cpu tests/test_graph.py -k "products or stale")
else
    suite=(--device cuda --ignore tests/test_graph.py)
    graphs=(--device cuda tests/test_graph.py)
    nvidia-smi
fi
part step 200 python3 -m benchmarks gpu step "$folder" $dry
part train 60 python3 -m benchmarks gpu train "$folder" $dry
part profile 30 python3 -m benchmarks gpu profile "$folder" $dry
part suite 170 python3 -m pytest -q -p no:cacheprovider "${suite[@]}"
part graphs 60 python3 -m pytest -q -p no:cacheprovider "${graphs[@]}"
python3 -m benchmarks gpu-report "$folder"
