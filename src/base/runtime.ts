/** The oldest major version of Node that qalign supports. */
const OLDEST_NODE = 20;

/** Returns a message if the runtime is not a supported Node, otherwise undefined. */
export function unfitRuntime(
  versions: Readonly<Record<string, string | undefined>> = process.versions,
  isDeno = 'Deno' in globalThis,
): string | undefined {
  const running =
    versions['bun'] !== undefined
      ? `Bun ${versions['bun']}, whose sockets cannot carry ZeroMQ`
      : isDeno
        ? 'Deno, whose sockets cannot carry ZeroMQ'
        : Number(versions['node']?.split('.')[0]) < OLDEST_NODE
          ? `Node.js ${versions['node']}`
          : undefined;
  return running === undefined ? undefined : `qalign needs Node.js ${OLDEST_NODE} or newer: this is ${running}.`;
}
