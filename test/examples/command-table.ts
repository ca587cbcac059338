/**
 * How the test runs each command of README and of the examples in `--help`. A command without a row fails the
 * test. `{}` runs unchanged and must exit with 0.
 */
export interface Row {
  /** The command to run instead; `because` states why: a GPU, the network, hours, a checkout. */
  readonly instead?: string;
  readonly because?: string;
  /** The exit code, or all that are correct on different machines; 0 by default. */
  readonly code?: number | readonly number[];
  /** A pattern that stdout or stderr must match. */
  readonly says?: RegExp;
}

/** A plan exits with 1 if this machine lacks something. */
const LACKING = [0, 1];
const plan = (command: string, says = /GB/): Row => ({
  instead: `${command} --plan`,
  because: 'hours, a GPU and a download',
  code: LACKING,
  says,
});
const helpOnly = (command: string, because: string): Row => ({ instead: `${command} --help`, because, says: /usage:/ });
const noRun: Row = { code: 1, says: /There is no run|RUN_NOT_FOUND/ };

/** Rows are run in the order of README, then of `qalign --help`; later commands use what earlier ones wrote. */
export const README_COMMANDS: Readonly<Record<string, Row>> = {
  'npm ci && npx qalign score test/fixtures/pictures/*.jpg': {
    instead: 'qalign score "$PACKAGE"/test/fixtures/pictures/*.jpg',
    because: 'npm ci is for a checkout',
    says: /3 scored/,
  },
  'npm ci && npm test': { instead: 'true', because: 'for a checkout' },
  'qalign score photos/ clip.mp4 --model one-align --task quality --task aesthetics': {
    instead: 'qalign score photos/ clip.mp4 --model "$TINY" --task quality --task aesthetics',
    because: 'a GPU and a download',
    says: /8 scored|4 scored/,
  },
  'qalign score photos/ --out scores.jsonl --resume': { says: /3 scored/ },
  "qalign score photos/ --out scores.parquet --exclude '*_thumb.jpg' --compact": { says: /3 scored/ },
  'qalign score photos/ --top 20 --fields input,score': { says: /"score":/ },
  "find . -name '*.jpg' | qalign score - --format csv --fail-below 2.5": { code: 3, says: /input,/ },
  'qalign dataset list --labels labels/': { says: /koniq10k/ },
  'qalign dataset convert koniq10k --labels labels/ --media koniq/ --out data/koniq': { says: /train/ },
  'qalign dataset convert ratings.csv --image-column file --score-column mos --range 0,100 --media photos/ --out data/own':
    {},
  'qalign dataset split data/own/all.jsonl --parts dev=500,train=rest --seed 1 --out data/own': {
    instead: 'qalign dataset split data/own/all.jsonl --parts dev=1,train=rest --seed 1 --out data/own',
    because: 'there are three pictures',
  },
  'qalign dataset sample koniq.jsonl spaq.jsonl --weights 1,0.5 --out mix.jsonl': {
    instead:
      'cp data/koniq/train.jsonl koniq.jsonl; cp data/own/train.jsonl spaq.jsonl; qalign dataset sample koniq.jsonl spaq.jsonl --weights 1,0.5 --out mix.jsonl',
    because: 'the files are made first',
  },
  'qalign dataset check data/koniq/train.jsonl data/koniq/test.jsonl': {},
  'qalign dataset report data/koniq/train.jsonl --media - --out koniq.html': {},
  'qalign reproduce table2 --labels labels/': { says: /koniq/i },
  'qalign train koniq --plan': { code: LACKING, says: /GB/ },
  'qalign train koniq batch_size=32 seed=1': plan('qalign train koniq batch_size=32 seed=1'),
  'qalign runs list | show RUN | watch RUN | stop RUN | resume RUN | compare RUN RUN | export RUN DIRECTORY': {
    instead: 'qalign runs list',
    because: 'a list of commands, which help has one by one',
  },
  'qalign train ablation-levels ablation-soft-labels --seeds 1,2,3': {
    ...plan('qalign train ablation-levels', /GB|missing|no file/),
    because: 'hours and a GPU; a plan is of one recipe',
  },
  "qalign train RECIPE 'lora={r: 128, quantise_base: nf4}' trackers='[tensorboard]'": plan(
    "qalign train koniq 'lora={r: 128, quantise_base: nf4}' trackers='[tensorboard]'",
  ),
  'qalign train RECIPE hosts=2 processes=16 batch_size=128 rendezvous=host0:29500': plan(
    'qalign train koniq hosts=2 processes=16 batch_size=128 rendezvous=host0:29500',
  ),
  'qalign evaluate koniq --plan': { code: LACKING, says: /12 records/ },
  'qalign evaluate koniq': {
    instead: 'qalign evaluate koniq model=nano device=cpu && cp evaluations/koniq/predictions/koniq.jsonl dev.jsonl',
    because: 'a GPU and a download',
    says: /SRCC/,
  },
  'qalign evaluate --predictions a.jsonl --predictions b.jsonl': {
    instead: 'cp dev.jsonl a.jsonl; cp dev.jsonl b.jsonl; qalign evaluate --predictions a.jsonl --predictions b.jsonl',
    because: 'the files are made first',
  },
  'qalign calibrate --predictions dev.jsonl --out c.json && qalign score photos/ --calibration c.json': {},
  'qalign reproduce table7 --media pictures/': {
    instead: 'qalign reproduce table7 --media pictures/ --plan',
    because: 'hours',
    code: LACKING,
    says: /missing/,
  },
  'qalign serve configs/serve.yaml root=/data port=8080': {
    instead: 'true',
    because: 'the service of this test is started so',
  },
  'curl -F file=@photo.jpg -F file=@other.jpg localhost:8080/v1/score': { says: /"scored":2/ },
  "curl --data-binary @photo.jpg -H 'Content-Type: image/jpeg' localhost:8080/v1/score": { says: /"scored":1/ },
  'curl -F file=@a.jpg -F file=@b.jpg localhost:8080/v1/compare': { says: /"better"/ },
  "curl -H 'Accept: application/x-ndjson' -F file=@a.jpg -F file=@b.jpg localhost:8080/v1/score": { says: /"index":1/ },
  "curl --data-binary @list.txt -H 'Content-Type: text/plain' 'localhost:8080/v1/jobs?tasks=quality'": {
    says: /"status":/,
  },
  "curl 'localhost:8080/v1/jobs/JOB/results?format=csv'": {},
  [`curl -H 'Content-Type: application/json' -d '{"recipe":{"name":"mine","model":"run:koniq","data":[{"name":"own","records":"own/test.jsonl"}]}}' localhost:8080/v1/evaluations`]:
    {
      instead: `curl -H 'Content-Type: application/json' -d '{"recipe":{"name":"mine","model":"nano","data":[{"name":"own","records":"data/koniq/test.jsonl"}]}}' localhost:8080/v1/evaluations`,
      because: 'a run koniq needs a GPU',
      says: /"status":/,
    },
  'qalign keys create web --scope score && qalign serve host=0.0.0.0': {
    instead: 'qalign keys create readme --scope score && timeout 20 qalign serve host=0.0.0.0 port=0',
    because: 'a service does not end by itself',
    code: 124,
    says: /"listening"/,
  },
};

export const HELP_COMMANDS: Readonly<Record<string, Row>> = {
  'qalign score photos/ --task quality --format jsonl': { says: /3 scored/ },
  'qalign score photos/ clip.mp4': { says: /4 scored/ },
  'qalign score photos/ --task quality --task aesthetics --out scores.jsonl --resume': {
    code: 2,
    says: /nano.* aesthetics|aesthetics.* nano/,
  },
  'find . -name "*.jpg" | qalign score - --format csv --fail-below 2.5': {
    instead: 'echo photo.jpg | qalign score - --format csv --fail-below 2.5',
    because: 'README has it',
  },
  'qalign score photos/ --top 20 --fields input,score,level_probs.excellent --format csv': {
    says: /input,score,level_probs.excellent/,
  },
  'qalign score photos/ --out compact.jsonl --compact --quiet': {},
  'qalign models list': { says: /one-align/ },
  'qalign models pull one-align': helpOnly('qalign models pull', 'a download of 16 GB'),
  'qalign models inspect nano': { says: /parameters/ },
  'qalign models inspect ./my-checkpoint --json': { says: /parameters/ },
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
  'qalign bench': helpOnly('qalign bench', 'minutes'),
  'qalign bench memory --n 100000 --out memory.json': helpOnly('qalign bench', 'hours'),
  'qalign bench serve --n 100000': helpOnly('qalign bench', 'hours'),
  'qalign bench serve --model nano --load 1,2,10 --seconds 60 --beside 2': helpOnly('qalign bench', 'minutes'),
  'qalign bench order --input kodak/': helpOnly('qalign bench', 'minutes'),
  'qalign bench model --random-weights mplug_owl2_7b --device cuda:0': helpOnly('qalign bench', 'a GPU'),
  'qalign doctor': { says: /can be scored/ },
  'qalign doctor --json': { says: /^\{/ },
  'qalign dataset list': { says: /koniq10k/ },
  'qalign dataset list --labels labels/ --json': {},
  'qalign dataset convert koniq10k --labels labels/ --out data/koniq': {},
  'qalign dataset convert ratings.csv --image-column file --score-column mos --range 0,100 --media photos/ --out data/own':
    {},
  'qalign dataset convert kadid10k --labels labels/ --format llava --out train_kadid/': {},
  'qalign dataset report data/koniq/train.jsonl data/koniq/test.jsonl --out koniq.html': {},
  'qalign dataset report spaq --labels labels/ --media spaq/ --out spaq.html': {
    instead: 'qalign dataset report koniq10k --labels labels/ --media koniq/ --out koniq.html',
    because: 'the labels of SPAQ are a large file',
  },
  'qalign dataset check data/koniq/train.jsonl data/koniq/test.jsonl': {
    instead:
      'qalign dataset convert koniq10k --labels labels/ --media koniq/ --out data/koniq && qalign dataset check data/koniq/train.jsonl data/koniq/test.jsonl',
    because: 'the records before have no pictures',
  },
  'qalign dataset check data/*/train.jsonl data/*/test.jsonl --only exact,perceptual --json': {},
  'qalign dataset split data/own/all.jsonl --parts dev=500,train=rest --seed 1 --out data/own': {
    instead: 'qalign dataset split data/own/all.jsonl --parts dev=1,train=rest --seed 1 --out data/own',
    because: 'there are three pictures',
  },
  'qalign dataset split data/live/all.jsonl --parts train=0.8,test=0.2 --out data/live': {
    instead:
      'mkdir -p data/live; cp data/koniq/train.jsonl data/live/all.jsonl; qalign dataset split data/live/all.jsonl --parts train=0.8,test=0.2 --out data/live',
    because: 'the files are made first',
  },
  'qalign dataset sample data/koniq/train.jsonl --fraction 0.2 --stratify level --seed 1 --out few.jsonl': {},
  'qalign dataset sample koniq.jsonl spaq.jsonl kadid.jsonl --weights 1,1,0.5 --out mix.jsonl': {
    instead:
      'cp data/own/dev.jsonl kadid.jsonl; qalign dataset sample koniq.jsonl spaq.jsonl kadid.jsonl --weights 1,1,0.5 --out mix.jsonl',
    because: 'the files are made first',
  },
  'qalign reproduce table2 --labels labels/': { says: /koniq/i },
  'qalign reproduce table7 --media pictures/ --out table7/': {
    instead: 'qalign reproduce table7 --media pictures/ --out table7/ --plan',
    because: 'hours',
    code: LACKING,
    says: /missing/,
  },
  'qalign reproduce table7 --plan': { code: LACKING, says: /missing/ },
  'qalign train --list': { says: /koniq/ },
  'qalign train koniq --plan': { code: LACKING, says: /GB/ },
  'qalign train koniq batch_size=32 seed=1': plan('qalign train koniq batch_size=32 seed=1'),
  'qalign train ablation-levels ablation-soft-labels --seeds 1,2,3': {
    ...plan('qalign train ablation-soft-labels', /GB|missing|no file/),
    because: 'hours and a GPU; a plan is of one recipe',
  },
  'qalign evaluate --list': { says: /koniq/ },
  'qalign evaluate koniq --plan': { code: LACKING, says: /12 records/ },
  'qalign evaluate koniq model=one-align allow_failures=2': {
    instead: 'qalign evaluate koniq model=one-align allow_failures=2 --plan',
    because: 'a GPU and a download',
    code: LACKING,
  },
  'qalign evaluate --predictions a/predictions/koniq.jsonl --predictions b/predictions/koniq.jsonl': {
    instead:
      'mkdir -p a b; cp -r evaluations/koniq/predictions a/; cp -r evaluations/koniq/predictions b/; qalign evaluate --predictions a/predictions/koniq.jsonl --predictions b/predictions/koniq.jsonl',
    because: 'the files are made first',
  },
  'qalign calibrate --predictions evaluations/koniq/predictions/koniq-dev.jsonl --out koniq.calibration.json': {
    instead:
      'cp dev.jsonl evaluations/koniq/predictions/koniq-dev.jsonl; qalign calibrate --predictions evaluations/koniq/predictions/koniq-dev.jsonl --out koniq.calibration.json',
    because: 'the files are made first',
  },
  'qalign calibrate --predictions dev.jsonl --test test.jsonl --method isotonic --out c.json --page c.html': {
    instead:
      'cp dev.jsonl test.jsonl; qalign calibrate --predictions dev.jsonl --test test.jsonl --method isotonic --out c.json --page c.html',
    because: 'the files are made first',
  },
  'qalign runs list': {},
  'qalign runs list --json': {},
  'qalign runs show koniq': noRun,
  'qalign runs watch koniq': noRun,
  'qalign runs watch koniq --json | jq .loss': { ...noRun, instead: 'qalign runs watch koniq --json', because: 'jq' },
  'qalign runs stop koniq': noRun,
  'qalign runs resume koniq': noRun,
  'qalign runs compare koniq koniq-2': noRun,
  'qalign runs export koniq models/koniq': noRun,
  'qalign runs join koniq --rank 1': noRun,
  'qalign serve': {
    instead: 'timeout 20 qalign serve port=0',
    because: 'a service does not end by itself',
    code: 124,
    says: /"listening"/,
  },
  "qalign serve port=9000 models='[one-align]' device=cuda:0": helpOnly('qalign serve', 'a GPU and a download'),
  'qalign serve --keys': { says: /limits.items/ },
  'curl -F file=@photo.jpg localhost:8080/v1/score': { says: /"scored":1/ },
  'qalign keys create web --scope score': {},
  'qalign keys create nightly --scope score --scope jobs': {},
  'qalign keys list': { says: /nightly/ },
  'qalign keys revoke web': {},
};
