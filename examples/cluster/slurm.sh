#!/usr/bin/env bash
# A Ray cluster for the length of a SLURM job: `sbatch slurm.sh MODULE:CALLABLE DATA.npz`.
# A job that is cut off is queued again and goes on where it stopped; so does the same sbatch line, submitted later.
#SBATCH --job-name=rsopt
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=12:00:00
#SBATCH --requeue
# On GPUs: add `#SBATCH --gpus-per-node=4`, and to the rsopt line `--device cuda` and as many workers as GPUs.
set -euo pipefail

# The home folder is shared between the nodes, and the token in it too.
export RAY_AUTH_MODE=token OMP_NUM_THREADS=1
ray get-auth-token --generate > /dev/null

mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")
head=${nodes[0]}
address=$(srun --nodes=1 --ntasks=1 --nodelist="$head" hostname --ip-address | awk '{ print $1 }')
# Two jobs may share a node: each gets ports of its own.
port=$((20000 + SLURM_JOB_ID % 20000))
export RAY_ADDRESS="$address:$port"

options=(--num-cpus="$SLURM_CPUS_PER_TASK" --disable-usage-stats --block)
srun --overlap --nodes=1 --ntasks=1 --nodelist="$head" \
    ray start --head --node-ip-address="$address" --port="$port" --ray-client-server-port=$((port + 20000)) \
    --include-dashboard=false "${options[@]}" &
until ray status > /dev/null 2>&1; do
    kill -0 $!  # ends the job if the head has died
    sleep 2
done
for node in "${nodes[@]:1}"; do
    srun --overlap --nodes=1 --ntasks=1 --nodelist="$node" ray start --address="$RAY_ADDRESS" "${options[@]}" &
done

# `--cluster ray` finds the cluster by RAY_ADDRESS. Workers whose node is not up yet join when it is.
rsopt certify --model "$1" --data "$2" --cluster ray --workers $((${#nodes[@]} * SLURM_CPUS_PER_TASK)) \
    --output "runs/$SLURM_JOB_NAME"
rsopt report "runs/$SLURM_JOB_NAME"
