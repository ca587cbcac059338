const SHOWN_WORDS = 5;
/** A unit of at most 80 characters, at least eight times in a row. */
const REPEATED = /(.{1,80}?)\1{7,}/gs;

/** Shortens repetitions in the answer of a model: `good good good good good … 43 more times`. */
export function foldRepetition(text: string): string {
  return text
    .trim()
    .replaceAll(REPEATED, (run: string, unit: string, at: number, whole: string) => {
      const words = Math.max(1, unit.trim().split(/\s+/).length);
      const shown = Math.max(1, Math.floor(SHOWN_WORDS / words));
      const isCut = whole.slice(at + run.length) === unit.trimEnd() && unit !== unit.trimEnd();
      const more = run.length / unit.length - shown + (isCut ? 1 : 0);
      return `${unit.repeat(shown).trimEnd()} … ${more} more times${isCut ? '\0' : unit.endsWith(' ') ? ' ' : ''}`;
    })
    .replace(/\0.*$/s, '');
}
