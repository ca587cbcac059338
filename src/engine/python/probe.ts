import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { remember, type PythonProbe } from './known.js';

export type { PythonProbe } from './known.js';

const run = promisify(execFile);

interface Answer extends Omit<PythonProbe, 'executable'> {
  /** Its own path and its search path. */
  readonly self?: string;
  readonly path?: readonly string[];
}

/** Modules that the scorer imports. They are looked up without an import, because torch alone takes two seconds. */
export const REQUIRED_MODULES = [
  'torch',
  'numpy',
  'zmq',
  'fastjsonschema',
  'sentencepiece',
  'safetensors',
  'huggingface_hub',
] as const;

const SCRIPT = `
import importlib.util as u, json, platform, sys
names = sys.argv[1:]
print(json.dumps({"self": sys.executable, "path": [p for p in sys.path if p], "version": platform.python_version(), "major": sys.version_info[0], "minor": sys.version_info[1],
  "canVenv": all(u.find_spec(n) is not None for n in ("venv", "ensurepip")),
  "missing": [n for n in names if u.find_spec(n) is None]}))
`;

/**
 * Reads the properties of an interpreter and stores them for later starts. Returns undefined if it does not exist or is
 * not a Python.
 */
export async function probePython(
  executable: string,
  modules: readonly string[] = [],
  signal?: AbortSignal,
): Promise<PythonProbe | undefined> {
  try {
    const { stdout } = await run(executable, ['-c', SCRIPT, ...modules], {
      timeout: 30_000,
      ...(signal === undefined ? {} : { signal }),
    });
    const { self, path, ...answer } = JSON.parse(stdout) as Answer;
    if (self !== undefined && path !== undefined) await remember(executable, modules, answer, { self, path });
    return { executable, ...answer };
  } catch {
    signal?.throwIfAborted();
    return undefined;
  }
}

const CANDIDATES = ['python3', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python'];
export const OLDEST = { major: 3, minor: 10 };

export interface FoundPython {
  /** The first interpreter on PATH that is new enough and can create environments. */
  readonly usable: PythonProbe | undefined;
  /** All other interpreters that ran, for the error message. */
  readonly rejected: readonly PythonProbe[];
}

export async function findPython(signal?: AbortSignal): Promise<FoundPython> {
  const rejected: PythonProbe[] = [];
  for (const name of CANDIDATES) {
    const probe = await probePython(name, [], signal);
    if (probe === undefined) continue;
    if (isNewEnough(probe) && probe.canVenv) return { usable: probe, rejected };
    rejected.push(probe);
  }
  return { usable: undefined, rejected };
}

export function isNewEnough(probe: Pick<PythonProbe, 'major' | 'minor'>): boolean {
  return probe.major > OLDEST.major || (probe.major === OLDEST.major && probe.minor >= OLDEST.minor);
}
