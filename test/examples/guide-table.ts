/** What the test does with each command of the guides that README does not have; see command-table.ts. */
import { helpOnly, LACKING, plan, untilListening, type Row } from './command-table.js';

const MADE_FIRST = 'the files are made first';

const SCORING: Readonly<Record<string, Row>> = {
  'qalign score photos/ --limit 100 --top 20 --fields input,score': { says: /"score":/ },
  "find . -name '*.jpg' | qalign score - --format csv --fail-below 2.5": {
    instead: 'ls photos/*.jpg | qalign score - --format csv --fail-below 2.5',
    because: 'the folder has many pictures',
    code: 3,
    says: /input,/,
  },
  'cat photo.jpg | qalign score -': { says: /"input":"-"|"score":/ },
  "qalign score photos/ --out scores.parquet --exclude '*_thumb.jpg' --compact": { says: /3 scored/ },
  'mkdir -p shards && tar --sort=name -cf shards/00000.tar -C photos .': {},
  "qalign score --shards 'shards/{00000..00000}.tar' --out shard-scores/ --keep 'score>=2'": {
    says: /1 shard: 1 scored, \d+ items/,
  },
  "qalign score --shards 's3://bucket/data/{00000..00999}.tar' --out s3://bucket/scores/ --shard 1/16 --progress json":
    helpOnly('qalign score', 'a bucket'),
  'qalign score photos/ --device 0,1 --out scores.parquet --resume': helpOnly('qalign score', 'two GPUs'),
  'qalign workers keys keys/ --workers 2': {},
  'qalign score photos/ --device remote:2 --listen tcp://0.0.0.0:5600 --bridge-keys keys/head.json': helpOnly(
    'qalign score',
    'two hosts',
  ),
  'python -m qalign.worker --connect tcp://head:5600 --keys worker-1.json --device cuda:0': {
    instead: 'PYTHONPATH="$PACKAGE/python" "$QALIGN_PYTHON" -m qalign.worker --help',
    because: 'two hosts',
    says: /--connect/,
  },
  'npx tsx score-folder.ts': { says: /3 pictures, mean \d/ },
  'qalign score photos/ --map --map-max 9 --out mapped.csv': { says: /3 scored/ },
  'qalign score clip.mp4 --fps 2 --max-frames 10 --strict': { says: /1 scored/ },
  'qalign score clip.mp4 --per-frame --out scores.json --per-frame-csv frames.csv': { says: /1 scored/ },
  'qalign doctor': { says: /can be scored/ },
};

const ANY_MODEL: Readonly<Record<string, Row>> = {
  'qalign models list --families': { says: /^qwen3_5 +Qwen3\.5, Q-ReAlign/m },
  'qalign score photo.jpg --model q-realign-mini': helpOnly('qalign score', 'a download'),
  'qalign score photos/ --model hf:Qwen/Qwen3-VL-2B-Instruct --out scores.jsonl': helpOnly(
    'qalign score',
    'a download',
  ),
  'qalign score photo.jpg --model q-realign-mini --prompt own-prompt.yaml': helpOnly('qalign score', 'a download'),
  'qalign evaluate own-test.yaml name=own-vlm model=hf:Qwen/Qwen3-VL-2B-Instruct': helpOnly(
    'qalign evaluate',
    'a download',
  ),
  'qalign evaluate --predictions evaluations/own-nano/predictions/own.jsonl --predictions evaluations/own-vlm/predictions/own.jsonl --rule two_words':
    helpOnly('qalign evaluate', 'the predictions of the row before'),
};

const SERVICE: Readonly<Record<string, Row>> = {
  'qalign dataset convert blind-ratings.csv --image-column image --score-column mos --range 1,5 --media photos/ --out data/blind':
    {},
  'qalign serve': untilListening('qalign serve'),
  'curl -F file=@photo.jpg -F map=true -F map_max=9 localhost:8080/v1/score': { says: /"scores_of":"windows"/ },
  'qalign serve configs/serve.yaml root=/data port=8080': {
    instead: 'true',
    because: 'the service of this test is started so',
  },
  'qalign serve --keys': { says: /limits.items/ },
  'qalign keys create web --scope score': {},
  'qalign keys create nightly --scope score --scope jobs': {},
  'qalign keys list': { says: /nightly/ },
  'qalign keys revoke web': {},
  'qalign keys create web --scope score && qalign serve host=0.0.0.0': untilListening(
    'qalign keys create web --scope score; qalign serve host=0.0.0.0',
  ),
  "curl --data-binary @list.txt -H 'Content-Type: text/plain' 'localhost:8080/v1/jobs?tasks=quality'": {
    says: /"status":/,
  },
  [`curl -H 'Content-Type: application/json' -d '{"shards":["shards/{00000..00000}.tar"],"out":"job-scores"}' localhost:8080/v1/jobs`]:
    { says: /"status":/ },
  'curl localhost:8080/v1/jobs/JOB': { says: /"status":/ },
  "curl 'localhost:8080/v1/jobs/JOB/results?format=csv'": {},
  [`curl -H 'Content-Type: application/json' -d '{"config":"nano","recipe":{"model":"nano","data":[{"name":"own","records":"data/koniq/test.jsonl"}]}}' localhost:8080/v1/evaluations`]:
    { says: /"status":/ },
  'curl localhost:8080/v1/evaluations': { says: /"evaluations":/ },
  'curl localhost:8080/healthz': {},
  'curl localhost:8080/readyz': {},
  'curl localhost:8080/metrics': { says: /qalign_/ },
  'qalign bench serve --n 100000': helpOnly('qalign bench', 'hours'),
};

const HTTP: Readonly<Record<string, Row>> = {
  "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8080/v1/score": { says: /"scored":1/ },
  'curl -F file=@a.jpg -F file=@b.jpg localhost:8080/v1/rank': { says: /"ranking"/ },
  "curl -H 'Accept: application/x-ndjson' -F file=@a.jpg -F file=@b.jpg localhost:8080/v1/score": { says: /"index":1/ },
  'python score_files.py photo.jpg other.jpg': { says: /^\d\.\d+ .*photo\.jpg\n\d\.\d+ .*other\.jpg\n/ },
  'python score_job.py': { says: /photo\.jpg \d\.\d+/ },
  'npx tsx client.ts': { says: /0 true/ },
  'curl localhost:8080/openapi.json -o openapi.json': {},
  'npx openapi-typescript openapi.json --output qalign-api.d.ts': { says: /qalign-api/ },
};

const DATASETS: Readonly<Record<string, Row>> = {
  'qalign dataset list': { says: /koniq10k/ },
  'qalign dataset list --labels labels/': { says: /koniq10k/ },
  'qalign dataset convert koniq10k --labels labels/ --media koniq/ --out data/koniq': { says: /train/ },
  'qalign dataset split data/own/all.jsonl --parts dev=500,train=rest --seed 1 --out data/own': {
    instead: 'qalign dataset split data/own/all.jsonl --parts dev=1,train=rest --seed 1 --out data/own',
    because: 'there are three pictures',
  },
  'qalign dataset sample koniq.jsonl spaq.jsonl --weights 1,0.5 --out mix.jsonl': {
    instead:
      'cp data/koniq/train.jsonl koniq.jsonl; cp data/own/train.jsonl spaq.jsonl; qalign dataset sample koniq.jsonl spaq.jsonl --weights 1,0.5 --out mix.jsonl',
    because: MADE_FIRST,
  },
  'qalign dataset sample data/koniq/train.jsonl --fraction 0.2 --stratify level --seed 1 --out few.jsonl': {},
  'qalign dataset check data/koniq/train.jsonl data/koniq/test.jsonl': {},
  'qalign dataset report data/koniq/train.jsonl --media - --out koniq.html': {},
  'qalign reproduce table2 --labels labels/': { says: /koniq/i },
  'npx tsx convert-own.ts': {},
};

const TRAINING: Readonly<Record<string, Row>> = {
  'qalign dataset check data/own/train.jsonl data/own/dev.jsonl': { code: 1, says: /perceptual/ }, // one scene
  'qalign train own.yaml seed=1': {
    instead: 'qalign train own.yaml seed=1 epochs=1 batch_size=2 micro_batch=2',
    because: 'there are three pictures',
    says: /completed at step 1/,
  },
  'qalign runs export own models/own': {},
  'qalign train --list': { says: /koniq/ },
  "qalign train lora-livec data.train='[data/own/train.jsonl]' data.dev='[data/own/dev.jsonl]' --plan": {
    code: LACKING,
    says: /GB/,
  },
  "qalign train RECIPE 'lora={r: 128, quantise_base: nf4}' trackers='[tensorboard]'": plan(
    "qalign train koniq 'lora={r: 128, quantise_base: nf4}' trackers='[tensorboard]'",
  ),
  'qalign train chat.yaml --plan': { code: LACKING, says: /unknown/ },
  'qalign train q-realign --plan': { code: LACKING, says: /unknown/ },
  'qalign train RECIPE hosts=2 processes=16 batch_size=128 rendezvous=host0:29500': plan(
    'qalign train koniq hosts=2 processes=16 batch_size=128 rendezvous=host0:29500',
  ),
  'qalign runs join koniq --rank 1': { code: 1, says: /There is no run|RUN_NOT_FOUND/ },
  'qalign runs list': { says: /own/ },
  'qalign runs show own': { says: /"recipe"/ },
  'qalign runs watch own': { says: /"end"/ },
  'qalign runs stop own': { code: 1, says: /is not being trained/ },
  'qalign runs resume own': { says: /completed/ },
  'npx tsx train-own.ts': { says: /from-script/ },
};

const JUDGING: Readonly<Record<string, Row>> = {
  'qalign evaluate own-test.yaml --plan': { says: /12 records/ },
  'qalign evaluate own-test.yaml': { says: /SRCC/ },
  'qalign evaluate own-test.yaml name=own-benchmark prompt=benchmark': {
    instead: 'cp -r evaluations/own-nano evaluations/own-benchmark',
    because: 'the same again with another prompt',
  },
  'qalign evaluate --predictions evaluations/own-nano/predictions/own.jsonl --predictions evaluations/own-benchmark/predictions/own.jsonl':
    { says: /difference/ },
  'qalign score photos/ --model nano --model runs/own/model --fields model.id,score,input --format csv': helpOnly(
    'qalign score',
    'other rows score with each of them',
  ),
  'qalign train ablation-levels ablation-soft-labels --seeds 1,2,3': {
    ...plan('qalign train ablation-levels', /GB|missing|no file/),
    because: 'hours and a GPU; a plan is of one recipe',
  },
  'qalign runs compare own from-script': { says: /max_steps/ },
  'npx tsx compare-models.ts': { says: /difference/ },
  'qalign evaluate koniq model=nano device=cpu': { says: /SRCC/ },
  'cp evaluations/koniq/predictions/koniq.jsonl dev.jsonl': {},
  'qalign calibrate --predictions dev.jsonl --out c.json': { says: /calibration error/ },
  'cp dev.jsonl test.jsonl': {},
  'qalign calibrate --predictions dev.jsonl --test test.jsonl --method isotonic --out isotonic.json --page c.html': {
    says: /isotonic/,
  },
  'qalign score photos/ --calibration c.json': { says: /"calibrated_score":/ },
  'qalign evaluate calibrated.yaml': {
    instead: 'qalign evaluate calibrated.yaml --plan',
    because: 'a third evaluation of the same',
    says: /12 records/,
  },
  'npx tsx calibrate-scores.ts': { says: /\d/ },
};

const EXPERIMENTS: Readonly<Record<string, Row>> = {
  'qalign reproduce table7 --plan': { code: LACKING, says: /missing/ },
  'qalign reproduce table12 --out table12/': {
    instead: 'qalign reproduce table12 --plan',
    because: 'a minute',
    code: LACKING,
  },
  'qalign reproduce table7 --media pictures/ --out table7/': {
    instead: 'qalign reproduce table7 --media pictures/ --out table7/ --plan',
    because: 'hours',
    code: LACKING,
    says: /missing/,
  },
  'qalign train koniq --plan': { code: LACKING, says: /GB/ },
  'qalign models pull one-align': helpOnly('qalign models pull', 'a download of 16 GB'),
  'qalign evaluate onealign --plan': { code: LACKING, says: /missing|no file|not here/i },
  'qalign evaluate onealign': helpOnly('qalign evaluate', 'a GPU and a download'),
  'qalign reproduce table7': helpOnly('qalign reproduce', 'a GPU and a download'),
  'qalign train koniq': plan('qalign train koniq'),
  'qalign train iqa-mix --plan': { code: LACKING, says: /GB/ },
  'qalign score photo.jpg --prompt terse.yaml': { says: /"name":"terse"/ },
  'npx tsx rescore.ts': { says: /^\d\.\d+ \d\.\d+/ },
  'npx tsx answers.ts': { says: /photo\.jpg "/ },
  'npx tsx python.ts': {
    instead: 'PYTHONPATH="$TEST_PACKAGES" tsx python.ts',
    because: 'SciPy is among the packages of the tests',
    says: /^0\.8/,
  },
  'qalign bench order --input kodak/': helpOnly('qalign bench', 'minutes'),
  "qalign train nano name=without-warp 'data.leave_out=[warp]'": plan(
    "qalign train nano name=without-warp 'data.leave_out=[warp]'",
  ),
  'qalign bench order --input kodak/ --model runs/without-warp/model --families warp': helpOnly(
    'qalign bench',
    'minutes',
  ),
  'qalign bench model --random-weights mplug_owl2_7b --device cuda:0': helpOnly('qalign bench', 'a GPU'),
  'PYTHONPATH=python python -m qalign.worker --gpu-check --out gpu.json': {
    instead:
      'PYTHONPATH="$PACKAGE/python" "$QALIGN_PYTHON" -m qalign.worker --gpu-check --out gpu.json --device cpu --architecture tiny --sections environment --seconds 5',
    because: 'a GPU',
    says: /tiny with random weights/,
  },
  'PYTHONPATH=python python -m pytest -q -rs test/python/gpu': { instead: 'true', because: 'a GPU' },
  'PYTHONPATH=python python -m qalign.worker --gpu-check --out part.json --sections rates,precisions --seconds 120': {
    instead: 'PYTHONPATH="$PACKAGE/python" "$QALIGN_PYTHON" -m qalign.worker --gpu-check --help',
    because: 'a GPU',
    says: /--sections/,
  },
  'qalign bench drift photos/ --model one-align --precision fp8 --against bf16 --max-delta 0.05': helpOnly(
    'qalign bench drift',
    'a GPU and a download',
  ),
  'qalign bench gpu --out gpu.json': helpOnly('qalign bench gpu', 'a GPU'),
  'qalign bench gpu gpu.json --markdown': { says: /\| goal for one H200 \|/ },
  'qalign bench gpu --compare before.json after.json': {
    instead: 'qalign bench gpu --compare gpu.json gpu.json',
    because: 'one check is enough',
    says: /second \/ first/,
  },
  'qalign bench gpu --device cpu --random-weights tiny --seconds 30': {
    instead: 'qalign bench gpu --device cpu --random-weights tiny --seconds 5 --sections environment',
    because: 'half a minute',
    says: /environment/,
  },
  'QALIGN_LOG=debug qalign score photo.jpg': { says: /load_model/ },
  'qalign doctor --json': { says: /^\{/ },
  'qalign models inspect nano': { says: /parameters/ },
  'qalign score photos/ --offline': { says: /3 scored/ },
};

/** In the order of the guides; later commands use what earlier ones wrote. */
export const GUIDE_COMMANDS: Readonly<Record<string, Row>> = {
  ...SCORING,
  ...ANY_MODEL,
  ...SERVICE,
  ...HTTP,
  ...DATASETS,
  ...TRAINING,
  ...JUDGING,
  ...EXPERIMENTS,
};
