#!/usr/bin/env bash
# Does the score of a clip fall as the clip is spoilt? Five kinds in four strengths each, made with ffmpeg of the first
# six seconds and stored almost without loss; prints for each kind how many of the neighbouring strengths are in order.
#   test/baselines/clip-order.sh FOLDER_OF_CLIPS [flags of qalign score]
set -euo pipefail
clips=$1
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
make() { # name filter crf
  ffmpeg -nostdin -v error -y -t 6 -i "$clip" -an -vf "$2,crop=trunc(iw/2)*2:trunc(ih/2)*2" -c:v libx264 -preset veryfast -crf "$3" -pix_fmt yuv420p "$work/$1.mp4"
}
for clip in "$clips"/*.mp4 "$clips"/*.avi; do
  [ -f "$clip" ] || continue
  name=$(basename "${clip%.*}")
  step=1
  for crf in 26 34 42 50; do make "$name@h264@$step" null $crf; step=$((step + 1)); done
  step=1
  for sigma in 1 2 4 8; do make "$name@blur@$step" "gblur=sigma=$sigma" 8; step=$((step + 1)); done
  step=1
  for strength in 10 20 40 80; do make "$name@noise@$step" "noise=alls=$strength:allf=t:all_seed=1" 8; step=$((step + 1)); done
  step=1
  for factor in 0.8 0.55 0.35 0.2; do make "$name@darken@$step" "lutyuv=y=val*$factor" 8; step=$((step + 1)); done
  step=1
  for factor in 2 3 5 8; do make "$name@resample@$step" "scale=trunc(iw/$factor/2)*2:-2,scale=iw*$factor:ih*$factor:flags=bicubic" 8; step=$((step + 1)); done
done
npx qalign score "$work" --format jsonl "$@" | node -e '
  const rows = require("node:fs").readFileSync(0, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const scores = new Map(rows.map(({ input, score }) => [input.split("/").at(-1).replace(".mp4", ""), score]));
  const kinds = new Map();
  for (const [name, score] of scores) {
    const [clip, kind, step] = name.split("@");
    const next = scores.get(`${clip}@${kind}@${Number(step) + 1}`);
    if (next === undefined) continue;
    const [right, all] = kinds.get(kind) ?? [0, 0];
    kinds.set(kind, [right + Number(next < score), all + 1]);
  }
  for (const [kind, [right, all]] of kinds) console.log(`${kind}: ${right} of ${all}`);
  const sum = [...kinds.values()].reduce(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
  console.log(`all: ${sum[0]} of ${sum[1]}`);
'
