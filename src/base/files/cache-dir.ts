import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';

/** Where qalign keeps what it can make or fetch again: `$XDG_CACHE_HOME/qalign`, else `~/.cache/qalign`. */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const base = env['XDG_CACHE_HOME'];
  // the XDG specification says that relative values are to be ignored
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache'), 'qalign');
}

/** Where huggingface_hub keeps downloaded models, by its own rules. */
export function modelCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return (
    env['HF_HUB_CACHE'] ??
    join(env['HF_HOME'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'huggingface'), 'hub')
  );
}
