/** The part of picomatch that qalign uses. The package has no types. */
declare module 'picomatch' {
  function picomatch(
    pattern: string,
    options?: {
      readonly dot?: boolean;
      readonly nonegate?: boolean;
      readonly posix?: boolean;
      readonly flags?: string;
    },
  ): (path: string) => boolean;
  namespace picomatch {
    function scan(pattern: string): { readonly isGlob: boolean; readonly negated: boolean };
  }
  export = picomatch;
}
