/** Level of a log line. Lines of a worker keep their level. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values that belong to a log line. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Logs messages by level. `createLogger` makes a logger, and `silentLogger` drops every message. */
export interface Logger {
  /** Logs a detail for developers, such as a message of the bridge. */
  debug(message: string, fields?: LogFields): void;
  /** Logs a normal event. */
  info(message: string, fields?: LogFields): void;
  /** Logs a problem that does not stop the work. */
  warn(message: string, fields?: LogFields): void;
  /** Logs a failure. */
  error(message: string, fields?: LogFields): void;
}

const ORDER: Record<LogLevel, number> = { debug: 10, info: 20, warn: 30, error: 40 };

/**
 * Creates a logger that calls `write(level, message, fields)` for every message at or above `minimum`.
 * @example
 * ```ts
 * const log = createLogger((level, message, fields) => console.error(level, message, fields), 'debug');
 * await using scorer = await createScorer({ log });
 * ```
 */
export function createLogger(
  write: (level: LogLevel, message: string, fields: LogFields | undefined) => void,
  minimum: LogLevel = 'info',
): Logger {
  const at = (level: LogLevel) => (message: string, fields?: LogFields) => {
    if (ORDER[level] >= ORDER[minimum]) write(level, message, fields);
  };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Logs nothing. The default of every library entry point, because only the command line prints. */
export const silentLogger: Logger = createLogger(() => {});
