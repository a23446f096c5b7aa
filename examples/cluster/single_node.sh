#!/usr/bin/env bash
# One machine: `./single_node.sh MODULE:CALLABLE DATA.npz`. Ctrl-C or a crash loses nothing: the same line goes on.
set -euo pipefail

# On processors: one worker a core, one thread a worker. The samples depend on the number of threads, so keep it.
# With GPUs leave both as they are and say `--device cuda --workers NUMBER_OF_GPUS`.
export OMP_NUM_THREADS=1
workers=$(nproc)

rsopt certify --model "$1" --data "$2" --workers "$workers" --output runs/one-machine
rsopt report runs/one-machine
