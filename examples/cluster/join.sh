#!/usr/bin/env bash
# Another machine joins the cluster: `./join.sh HEAD`. It may leave at any time: a run loses what the machine has in hand
# and does it again elsewhere. It joins a run under way that asked for more `--workers` than there was room for.
set -euo pipefail

export RAY_AUTH_MODE=token
# Ray sends no source code: whatever module --model names must be importable here, for example on PYTHONPATH.
ray start --address="$1:6379" --disable-usage-stats
