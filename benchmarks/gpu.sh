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
else
    suite=(--device cuda)
    nvidia-smi
fi
part step 210 python3 -m benchmarks gpu step "$folder" $dry
part train 80 python3 -m benchmarks gpu train "$folder" $dry
part profile 40 python3 -m benchmarks gpu profile "$folder" $dry
part suite 180 python3 -m pytest -q -p no:cacheprovider "${suite[@]}"
python3 -m benchmarks gpu-report "$folder"
