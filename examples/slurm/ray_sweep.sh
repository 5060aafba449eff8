#!/bin/bash
# A sweep on the nodes of one Slurm job: Ray starts on every node, the sweep on the first, and both end together.
#
#   sbatch --nodes=4 examples/slurm/ray_sweep.sh splits/photos --backbone resnet50.tv_in1k --seeds 5
#
# All arguments go to `oodml sweep`. A job that was cut off is submitted again as it was: it does what is missing.
# Needs `pip install 'oodml[ray]'` in an environment that all nodes see, and data and results on a file system that
# they share. Follows Ray's own recipe: https://docs.ray.io/en/latest/cluster/vms/user-guides/community/slurm.html
#SBATCH --job-name=oodml
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --time=24:00:00
# For GPUs add, as your site names them: #SBATCH --gpus-per-node=4
set -euo pipefail

# module load python; source "$HOME/venvs/oodml/bin/activate"

node=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
ip=$(srun --nodes=1 --ntasks=1 --nodelist="$node" hostname --ip-address | tr ' ' '\n' | grep -v : | head -n 1)
port=$((6400 + SLURM_JOB_ID % 1000)) # two jobs on one node do not meet

# decoded images and embeddings of each node on its own disk, where there is one
export OODML_CACHE="${OODML_CACHE:-${SLURM_TMPDIR:-/tmp}/oodml-cache-$USER}"
export RAY_USAGE_STATS_ENABLED=0
# a token in the home folder keeps other users of the machines out; versions of Ray before 2.52 have none
ray get-auth-token --generate >/dev/null 2>&1 && export RAY_AUTH_MODE=token
export RAY_ADDRESS="$ip:$port"

srun --nodes="$SLURM_JOB_NUM_NODES" --ntasks="$SLURM_JOB_NUM_NODES" \
    ray symmetric-run --address "$RAY_ADDRESS" --min-nodes "$SLURM_JOB_NUM_NODES" \
    --num-cpus="${SLURM_CPUS_PER_TASK:-1}" --num-gpus="${SLURM_GPUS_ON_NODE:-0}" \
    -- oodml sweep "$@" --executor ray --ray-address auto
