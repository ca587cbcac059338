const SHOWN_WORDS = 5;
/** So often in a row, and a text says nothing more by it. */
const REPEATED = /(.{1,80}?)\1{7,}/gs;

/** What a model says over and over is shown a few times: `good good good good good … 43 more times`. */
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
