import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/**
 * The folder for files that qalign can rebuild or download again. It is `$QALIGN_CACHE`, else `$XDG_CACHE_HOME/qalign`,
 * else `~/.cache/qalign`. Every Python process gets this folder in QALIGN_CACHE and does not choose one.
 */
export function cacheDir(env: NodeJS.ProcessEnv = process.env): string {
  const named = env['QALIGN_CACHE'];
  if (named !== undefined && named !== '') return resolve(named);
  const base = env['XDG_CACHE_HOME'];
  // the XDG specification requires that relative values are ignored
  return join(base !== undefined && isAbsolute(base) ? base : join(homedir(), '.cache'), 'qalign');
}

/** The folder of downloaded models, by the rules of huggingface_hub. */
export function modelCacheDir(env: NodeJS.ProcessEnv = process.env): string {
  return (
    env['HF_HUB_CACHE'] ??
    join(env['HF_HOME'] ?? join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'huggingface'), 'hub')
  );
}
