#!/usr/bin/env bash
# A run on a standing cluster: `./run.sh HEAD MODULE:CALLABLE DATA.npz`, from a machine of the cluster or outside of it.
set -euo pipefail

export RAY_AUTH_MODE=token
# The threads of a worker are those of this process. On GPUs add `--device cuda`: one worker a GPU.
export OMP_NUM_THREADS=1

# The store lies here and nowhere else. `--cluster ray` does the same on a machine that is part of the cluster.
rsopt certify --model "$2" --data "$3" --cluster "ray://$1:10001" --output runs/cluster
rsopt report runs/cluster
