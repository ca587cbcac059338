import type { JSX } from 'preact';

/** An SVG of src/report, which escapes all text. Reports of the command line show the same plots. */
export function Plot({ svg, caption }: { readonly svg: string; readonly caption?: string }): JSX.Element {
  return (
    <figure class="plot">
      <div dangerouslySetInnerHTML={{ __html: svg }} />
      {caption !== undefined && <figcaption>{caption}</figcaption>}
    </figure>
  );
}
