const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  EEXIST: 'something else has this name',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file would be too large',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'its name is too long',
  ELOOP: 'its links form a circle',
};

/**
 * Why a file could not be read or written, as a clause. Node's own text repeats the path and names the system
 * call: `EISDIR: illegal operation on a directory, read`. Errors without a known code keep their message.
 */
export function reasonOf(error: unknown): string {
  const { code, message, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  // so Node answers `mkdir` with `recursive` on a read-only file system, too
  if (syscall === 'mkdir' && code === 'ENOENT') return 'no folder can be made there';
  return REASONS[String(code)] ?? message ?? String(error);
}
