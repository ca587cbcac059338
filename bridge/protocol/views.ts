/**
 * What a model can see of a picture: `whole` is all of it, padded and resized; `native` is parts of it at its own
 * pixels.
 */
export const VIEWS = ['whole', 'native'] as const;
export type View = (typeof VIEWS)[number];

/** The views of models that see only the whole picture. */
export const WHOLE: readonly View[] = ['whole'];
