#!/usr/bin/env bash
# An array job of Slurm: each task scores its part of the shards on one GPU.
#
#   sbatch --array=1-16 --export=ALL,SHARDS='s3://BUCKET/data/{00000..00099}.tar',OUT=s3://BUCKET/scores/ deploy/slurm/shards.sh
#   sbatch --array=3,7 …        # repeats two tasks; set PARTS=16, because Slurm then counts two
#
# A task that is requeued or repeated computes only what is missing. Settings:
# - SHARDS, OUT: patterns of shards (several are separated by spaces) and the folder of the results.
# - PARTS: number of parts; by default the number of tasks of the array.
# - QALIGN_ARGS: further flags of `qalign score`, separated by spaces, such as "--model one-align --keep score>=3.5".
#SBATCH --job-name=qalign-shards
#SBATCH --gres=gpu:1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH --requeue
#SBATCH --signal=B:TERM@60
#SBATCH --output=qalign-%A_%a.log
set -euo pipefail

fail() { echo "shards.sh: $1" >&2 && exit 2; }

[ -n "${SHARDS:-}" ] || fail "set SHARDS to the pattern of the shards."
[ -n "${OUT:-}" ] || fail "set OUT to the folder of the results."
[ -n "${SLURM_ARRAY_TASK_ID:-}" ] || fail "start it with sbatch --array=1-N."
# indices can begin at 0; parts begin at 1
first=${SLURM_ARRAY_TASK_MIN:-1}
parts=${PARTS:-${SLURM_ARRAY_TASK_COUNT:?}}
if [ -n "${PARTS:-}" ]; then part=$SLURM_ARRAY_TASK_ID; else part=$((SLURM_ARRAY_TASK_ID - first + 1)); fi
[ "$part" -ge 1 ] && [ "$part" -le "$parts" ] || fail "task $SLURM_ARRAY_TASK_ID is none of $parts parts; use an array without gaps, or set PARTS."
read -ra patterns <<<"$SHARDS"
read -ra more <<<"${QALIGN_ARGS:-}"
flags=()
for pattern in "${patterns[@]}"; do flags+=(--shards "$pattern"); done

# in the background, so that a signal reaches the trap at once; the shard at hand is dropped
qalign score "${flags[@]}" --out "$OUT" --shard "$part/$parts" ${more[@]+"${more[@]}"} &
child=$!
trap 'kill -TERM "$child" 2>/dev/null' TERM
wait "$child" && code=0 || code=$?
# a trap ends the first wait early
if kill -0 "$child" 2>/dev/null; then wait "$child" && code=0 || code=$?; fi
exit "$code"
