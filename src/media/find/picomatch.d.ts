/** The part of picomatch that is used here; the package brings no types. */
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
