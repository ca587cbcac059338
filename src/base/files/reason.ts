const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'the file or folder does not exist',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of its path is not a folder',
  EEXIST: 'a file or folder with this name already exists',
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'the file system is read-only',
  ENOSPC: 'no space is left on the disk',
  EDQUOT: 'the disk quota is exceeded',
  EFBIG: 'the file would be too large',
  EIO: 'the disk reports an error',
  EMFILE: 'too many files are open',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'the symbolic links form a loop',
};

/**
 * Returns the reason why a file cannot be read or written, as a clause. Node's message repeats the path and names the
 * system call: `EISDIR: illegal operation on a directory, read`. An error without a known code keeps its message.
 */
export function reasonOf(error: unknown): string {
  const { code, message, syscall } = (error ?? {}) as NodeJS.ErrnoException;
  // Node also reports ENOENT for `mkdir` with `recursive` on a read-only file system
  if (syscall === 'mkdir' && code === 'ENOENT') return 'a folder cannot be created there';
  return REASONS[String(code)] ?? message ?? String(error);
}
