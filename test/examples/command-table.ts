/**
 * How the test runs each command of README and of the examples in `--help`; guide-table.ts has the guides. A command
 * without a row fails the test. `{}` runs unchanged and must exit with 0.
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
export const LACKING = [0, 1];
export const plan = (command: string, says = /GB/): Row => ({
  instead: `${command} --plan`,
  because: 'hours, a GPU and a download',
  code: LACKING,
  says,
});
export const helpOnly = (command: string, because: string): Row => ({
  instead: `${command} --help`,
  because,
  says: /usage:/,
});
export const noRun: Row = { code: 1, says: /There is no run|RUN_NOT_FOUND/ };

/** A service does not end by itself: it is ended when it listens. */
export const untilListening = (command: string): Row => ({
  instead: `${command} port=0 2>serve.log & pid=$!; for _ in $(seq 300); do grep -q '"listening"' serve.log && break; sleep 0.1; done; kill $pid; wait $pid; cat serve.log`,
  because: 'a service does not end by itself',
  says: /"listening"/,
});

/** A page is open until a signal ends its command. */
export const untilOpen = (command: string): Row => ({
  instead: `${command} --no-open >view.log 2>&1 & pid=$!; for _ in $(seq 300); do grep -q 'http://' view.log && break; sleep 0.1; done; kill $pid; wait $pid; cat view.log`,
  because: 'a page does not end by itself',
  says: /http:\/\/127\.0\.0\.1:\d+/,
});

/** Rows run in the order of README, the guides, `qalign --help`; later commands use what earlier ones wrote. */
export const README_COMMANDS: Readonly<Record<string, Row>> = {
  'npm ci && npx qalign score test/fixtures/pictures/*.jpg': {
    instead: 'qalign score "$PACKAGE"/test/fixtures/pictures/*.jpg',
    because: 'npm ci is for a checkout',
    says: /3 scored/,
  },
  'npm ci && npm test': { instead: 'true', because: 'for a checkout' },
  'npm pack && npm install --global ./qalign-0.1.0.tgz': {
    instead: 'qalign --version',
    because: 'the test packs and installs the package before it begins',
    says: /0\.1\.0/,
  },
  'qalign score photos/ clip.mp4': { says: /4 scored/ },
  'qalign score photos/ --out scores.jsonl --resume': { says: /3 scored/ },
  'qalign score photo.jpg clip.mp4 --map --per-frame': { says: /"frame_curve"/ },
  'qalign view scores.jsonl': untilOpen('qalign view scores.jsonl'),
  'qalign score photos/ clip.mp4 --model one-align --task quality --task aesthetics': {
    instead: 'qalign score photos/ clip.mp4 --model "$TINY" --task quality --task aesthetics',
    because: 'a GPU and a download',
    says: /8 scored|4 scored/,
  },
  'qalign serve root=photos/': untilListening('qalign serve root=photos/'),
  'curl -F file=@photo.jpg -F file=@other.jpg localhost:8080/v1/score': { says: /"scored":2/ },
  'curl -F file=@a.jpg -F file=@b.jpg localhost:8080/v1/compare': { says: /"better"/ },
  'qalign dataset convert ratings.csv --image-column file --score-column mos --range 0,100 --media photos/ --out data/own':
    {},
  'qalign dataset split data/own/all.jsonl --parts dev=0.2,train=rest --seed 1 --out data/own': {
    instead: 'qalign dataset split data/own/all.jsonl --parts dev=1,train=rest --seed 1 --out data/own',
    because: 'there are three pictures',
  },
  'qalign train own --plan': { code: LACKING, says: /GB/ },
  'qalign train own': {
    instead: 'qalign train own epochs=1 batch_size=2 micro_batch=2',
    because: 'there are three pictures',
    says: /completed at step 1/,
  },
  'qalign score photos/ --model runs/own/model': { says: /3 scored/ },
  'qalign evaluate koniq --plan': {
    instead:
      'qalign dataset convert koniq10k --labels labels/ --media koniq/ --out data/koniq && qalign evaluate koniq --plan',
    because: 'the records are made first',
    code: LACKING,
    says: /12 records/,
  },
  'qalign evaluate koniq': {
    instead: 'qalign evaluate koniq model=nano device=cpu',
    because: 'a GPU and a download',
    says: /SRCC/,
  },
  'qalign reproduce table7 --media pictures/': {
    instead: 'qalign reproduce table7 --media pictures/ --plan',
    because: 'hours',
    code: LACKING,
    says: /missing/,
  },
};

export const HELP_COMMANDS: Readonly<Record<string, Row>> = {
  'qalign score photos/ --task quality --format jsonl': { says: /3 scored/ },
  'qalign score photos/ --model one-align --task quality --task aesthetics --out scores.jsonl --resume': {
    instead: 'qalign score photos/ --model "$TINY" --task quality --task aesthetics --out both.jsonl --resume',
    because: 'a GPU and a download',
    says: /3 scored, mean quality/,
  },
  'find . -name "*.jpg" | qalign score - --format csv --fail-below 2.5': {
    instead: 'echo photo.jpg | qalign score - --format csv --fail-below 2.5',
    because: 'README has it',
  },
  'qalign score photos/ --top 20 --fields input,score,level_probs.excellent --format csv': {
    says: /input,score,level_probs.excellent/,
  },
  'qalign score photos/ --map --map-out maps/ --out maps.jsonl': { says: /3 scored/ },
  'qalign score clip.mp4 --per-frame --format csv --fields input,score,frame_curve.p5,frame_curve.min': {
    says: /frame_curve.p5/,
  },
  'qalign score photos/ --out compact.jsonl --compact --quiet': {},
  "qalign score --shards 'data/{00000..00099}.tar' --out scores/ --keep 'score>=3.5'": {
    instead:
      "mkdir -p data && tar --sort=name -cf data/00000.tar -C photos . && qalign score --shards 'data/{00000..00000}.tar' --out scores/ --keep 'score>=3.5' && ls scores/",
    because: 'a hundred shards take minutes',
    says: /00000\.scores\.parquet/,
  },
  'qalign models list': { says: /one-align/ },
  'qalign models inspect ./my-checkpoint --json': { says: /parameters/ },
  'qalign bench': helpOnly('qalign bench', 'minutes'),
  'qalign bench drift photos/ --model one-align --precision fp8 --against bf16': helpOnly(
    'qalign bench drift',
    'a GPU and a download',
  ),
  'qalign bench drift photos/ --model one-align --precision int8 --max-delta 0.05 --min-srcc 0.99 --json': {
    instead: 'qalign bench drift photo.jpg --precision bf16 --against fp32 --max-delta 1 --json',
    because: 'a GPU and a download',
    says: /"level_agreement"/,
  },
  'qalign bench memory --n 100000 --out memory.json': helpOnly('qalign bench', 'hours'),
  'qalign bench order --input kodak/ --families upscale,mixture': helpOnly('qalign bench', 'minutes'),
  'qalign bench serve --model nano --load 1,2,10 --seconds 60 --beside 2': helpOnly('qalign bench', 'minutes'),
  'qalign dataset list --labels labels/ --json': {},
  'qalign dataset convert koniq10k --labels labels/ --out data/koniq': {},
  'qalign dataset convert kadid10k --labels labels/ --format llava --out train_kadid/': {},
  'qalign dataset report data/koniq/train.jsonl data/koniq/test.jsonl --out koniq.html': {},
  'qalign dataset report spaq --labels labels/ --media spaq/ --out spaq.html': {
    instead: 'qalign dataset report koniq10k --labels labels/ --media koniq/ --out koniq.html',
    because: 'the labels of SPAQ are a large file',
  },
  'qalign dataset check data/*/train.jsonl data/*/test.jsonl --only exact,perceptual --json': {
    instead:
      'qalign dataset convert koniq10k --labels labels/ --media koniq/ --out data/koniq && qalign dataset check data/*/train.jsonl data/*/test.jsonl --only exact,perceptual --json',
    because: 'the records before have no pictures',
  },
  'qalign dataset split data/live/all.jsonl --parts train=0.8,test=0.2 --out data/live': {
    instead:
      'mkdir -p data/live; cp data/koniq/train.jsonl data/live/all.jsonl; qalign dataset split data/live/all.jsonl --parts train=0.8,test=0.2 --out data/live',
    because: 'the files are made first',
  },
  'qalign dataset sample koniq.jsonl spaq.jsonl kadid.jsonl --weights 1,1,0.5 --out mix.jsonl': {
    instead:
      'cp data/own/dev.jsonl kadid.jsonl; qalign dataset sample koniq.jsonl spaq.jsonl kadid.jsonl --weights 1,1,0.5 --out mix.jsonl',
    because: 'the files are made first',
  },
  'qalign evaluate --list': { says: /koniq/ },
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
  'qalign runs list --json': {},
  'qalign train koniq batch_size=32 seed=1': plan('qalign train koniq batch_size=32 seed=1'),
  'qalign runs show koniq': noRun,
  'qalign runs watch koniq': noRun,
  'qalign runs watch koniq --json | jq .loss': { ...noRun, instead: 'qalign runs watch koniq --json', because: 'jq' },
  'qalign runs stop koniq': noRun,
  'qalign runs resume koniq': noRun,
  'qalign runs compare koniq koniq-2': noRun,
  'qalign runs export koniq models/koniq': noRun,
  'qalign runs export koniq models/koniq-best --best': noRun,
  'qalign view koniq koniq-2': {
    code: 1,
    says: /RESULTS_NOT_FOUND|RUN_NOT_FOUND/,
  },
  'qalign view evaluations/koniq --no-open': untilOpen('qalign view evaluations/koniq'),
  "qalign serve port=9000 models='[one-align]' device=cuda:0": helpOnly('qalign serve', 'a GPU and a download'),
  'curl -F file=@photo.jpg localhost:8080/v1/score': { says: /"scored":1/ },
};
