#!/usr/bin/env bash
# A standing Ray cluster, its first machine: `./head.sh`. Every machine needs rsopt[torch,cli,plots,ray], with the same
# versions of Python, Ray, torch and rsopt; rsopt refuses a mix that would draw other samples.
set -euo pipefail

# A shared secret keeps others off the cluster: whoever reaches it may run code. Newer Ray asks for one anyway.
export RAY_AUTH_MODE=token
ray get-auth-token --generate > /dev/null

ray start --head --port=6379 --ray-client-server-port=10001 --include-dashboard=false --disable-usage-stats
echo "Copy ~/.ray/auth_token to the other machines, then run there: ./join.sh $(hostname)"
