import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/**
 * Where qalign keeps what it can make or fetch again: `$QALIGN_CACHE`, else `$XDG_CACHE_HOME/qalign`, else
 * `~/.cache/qalign`. Every Python that is started here gets this folder in QALIGN_CACHE and decides nothing itself.
 */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const named = env['QALIGN_CACHE'];
  if (named !== undefined && named !== '') return resolve(named);
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
