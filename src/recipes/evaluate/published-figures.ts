import { hint } from '../../base/suggest.js';
import { QalignError } from '../../base/errors.js';

/**
 * All published figures that are printed beside ours, each with its source. Figures without a known source are omitted.
 * The paper and the model card differ in six figures of Q-Align (IQA), because the card describes the released
 * checkpoint.
 */

/** Published SRCC and PLCC. */
export interface PublishedFigure {
  readonly srcc: number;
  readonly plcc: number;
  /** Source of the figure, printed beside it. */
  readonly source: string;
}

/** Our figure minus the published one; null if either is missing. */
export function difference(ours: number | null, published: number | null | undefined): number | null {
  return ours === null || published === null || published === undefined ? null : ours - published;
}

/** A checkpoint of the paper: its hub id, the recipe that trains it, and its published figures. */
export interface PaperModel {
  readonly name: string;
  /** Hub id; null if it is not published. */
  readonly hub: string | null;
  /** Name of the recipe in configs/train and of its run. */
  readonly recipe: string;
  /** Figures of the paper by test set (see TEST_SETS). */
  readonly figures: Readonly<Record<string, PublishedFigure>>;
  /** Figures of the model card by test set. */
  readonly card?: Readonly<Record<string, PublishedFigure>>;
}

const PAPER = 'paper, Tables 4 to 7';
const MODEL_CARD = 'model card of q-future/one-align';

/** The figures of the paper come from a public transcription that was read on 2026-11-26. */
export const FIGURES_FROM =
  'Q-Align (arXiv 2312.17090), Tables 4 to 7, from a public transcription, the documents of this project and the model card of q-future/one-align (revision e04a520). Figures of models trained on SPAQ or KADID alone, on few samples or on IAA+VQA are not recorded';

/**
 * Test set → its data set in configs/datasets, possible folders, split, title and additional flags of the conversion.
 */
export const TEST_SETS: Readonly<
  Record<
    string,
    {
      readonly dataset: string;
      readonly folders: readonly string[];
      readonly split: string;
      readonly title: string;
      readonly flags?: string;
    }
  >
> = {
  koniq: { dataset: 'koniq10k', folders: ['koniq10k', 'koniq'], split: 'test', title: 'KonIQ-10k' },
  spaq: { dataset: 'spaq', folders: ['spaq'], split: 'test', title: 'SPAQ', flags: '--split-list test=test_spaq.json' },
  kadid: { dataset: 'kadid10k', folders: ['kadid10k', 'kadid'], split: 'test', title: 'KADID-10k' },
  livec: { dataset: 'livec', folders: ['livec'], split: 'all', title: 'LIVE Challenge' },
  agiqa: { dataset: 'agiqa3k', folders: ['agiqa3k', 'agiqa'], split: 'all', title: 'AGIQA-3K' },
  live: { dataset: 'live', folders: ['live'], split: 'all', title: 'LIVE' },
  csiq: { dataset: 'csiq', folders: ['csiq'], split: 'all', title: 'CSIQ' },
  ava: { dataset: 'ava', folders: ['ava'], split: 'test', title: 'AVA' },
  lsvq: { dataset: 'lsvq', folders: ['lsvq'], split: 'test', title: 'LSVQ test' },
  'lsvq-1080p': { dataset: 'lsvq', folders: ['lsvq'], split: '1080p', title: 'LSVQ 1080p' },
  konvid: { dataset: 'konvid1k', folders: ['konvid1k', 'konvid'], split: 'all', title: 'KoNViD-1k' },
  maxwell: { dataset: 'maxwell', folders: ['maxwell'], split: 'test', title: 'MaxWell' },
};

const f = (srcc: number, plcc: number): PublishedFigure => ({ srcc, plcc, source: PAPER });
const card = (srcc: number, plcc: number): PublishedFigure => ({ srcc, plcc, source: MODEL_CARD });

export const PAPER_MODELS = {
  koniq: {
    name: 'Q-Align (KonIQ)',
    hub: null,
    recipe: 'koniq',
    figures: {
      koniq: f(0.94, 0.941),
      spaq: f(0.887, 0.886),
      kadid: f(0.684, 0.674),
      livec: f(0.86, 0.853),
      agiqa: f(0.735, 0.772),
      live: f(0.867, 0.838),
      csiq: f(0.7, 0.759),
    },
  },
  spaq: { name: 'Q-Align (SPAQ)', hub: null, recipe: 'spaq', figures: {} },
  kadid: { name: 'Q-Align (KADID)', hub: null, recipe: 'kadid', figures: {} },
  koniqSpaq: {
    name: 'Q-Align (KonIQ+SPAQ)',
    hub: null,
    recipe: 'koniq-spaq',
    figures: {
      koniq: f(0.94, 0.943),
      spaq: f(0.931, 0.933),
      kadid: f(0.708, 0.692),
      livec: f(0.879, 0.883),
      agiqa: f(0.727, 0.795),
      live: f(0.859, 0.827),
      csiq: f(0.767, 0.795),
    },
  },
  iqa: {
    name: 'Q-Align (IQA)',
    hub: 'q-future/q-align-iqa',
    recipe: 'iqa-mix',
    figures: {
      koniq: f(0.938, 0.945),
      spaq: f(0.931, 0.933),
      kadid: f(0.934, 0.934),
      livec: f(0.883, 0.887),
      agiqa: f(0.733, 0.788),
      live: f(0.87, 0.84),
      csiq: f(0.845, 0.876),
      ava: f(0.208, 0.228),
      lsvq: f(0.755, 0.757),
      'lsvq-1080p': f(0.68, 0.718),
      konvid: f(0.799, 0.806),
      maxwell: f(0.682, 0.694),
    },
    card: {
      koniq: card(0.937, 0.945),
      spaq: card(0.931, 0.933),
      kadid: card(0.934, 0.934),
      livec: card(0.887, 0.896),
      agiqa: card(0.731, 0.791),
      live: card(0.874, 0.84),
      csiq: card(0.845, 0.876),
    },
  },
  iqaVqa: {
    name: 'Q-Align (IQA+VQA)',
    hub: 'q-future/q-align-quality',
    recipe: 'iqa-vqa',
    figures: {
      koniq: f(0.944, 0.949),
      spaq: f(0.931, 0.934),
      kadid: f(0.952, 0.953),
      livec: f(0.892, 0.899),
      agiqa: f(0.739, 0.782),
      live: f(0.874, 0.846),
      csiq: f(0.852, 0.876),
      ava: f(0.197, 0.222),
      lsvq: f(0.885, 0.883),
      'lsvq-1080p': f(0.802, 0.829),
      konvid: f(0.867, 0.88),
      maxwell: f(0.781, 0.787),
    },
  },
  iqaIaa: {
    name: 'Q-Align (IQA+IAA)',
    hub: 'q-future/q-align-image',
    recipe: 'iqa-iaa',
    figures: {
      koniq: f(0.94, 0.947),
      kadid: f(0.945, 0.945),
      livec: f(0.862, 0.868),
      agiqa: f(0.782, 0.824),
      csiq: f(0.865, 0.883),
      ava: f(0.822, 0.819),
      lsvq: f(0.785, 0.785),
      'lsvq-1080p': f(0.7, 0.73),
      konvid: f(0.831, 0.829),
      maxwell: f(0.716, 0.728),
    },
  },
  vqaIaa: { name: 'Q-Align (VQA+IAA)', hub: 'q-future/q-align-iaa-vqa', recipe: 'vqa-iaa', figures: {} },
  iaa: {
    name: 'Q-Align (IAA)',
    hub: 'q-future/q-align-aesthetic',
    recipe: 'ava',
    figures: {
      koniq: f(0.574, 0.603),
      kadid: f(0.536, 0.547),
      livec: f(0.685, 0.636),
      agiqa: f(0.75, 0.792),
      csiq: f(0.527, 0.596),
      ava: f(0.822, 0.817),
      lsvq: f(0.624, 0.6),
      'lsvq-1080p': f(0.515, 0.511),
      konvid: f(0.717, 0.681),
      maxwell: f(0.659, 0.648),
    },
  },
  vqa: {
    name: 'Q-Align (VQA)',
    hub: 'q-future/q-align-vqa',
    recipe: 'lsvq',
    figures: {
      koniq: f(0.731, 0.788),
      kadid: f(0.659, 0.651),
      livec: f(0.715, 0.727),
      agiqa: f(0.78, 0.834),
      csiq: f(0.755, 0.814),
      ava: f(0.289, 0.323),
      lsvq: f(0.883, 0.882),
      'lsvq-1080p': f(0.797, 0.83),
      konvid: f(0.865, 0.877),
      maxwell: f(0.78, 0.782),
    },
    card: {
      lsvq: card(0.883, 0.882),
      'lsvq-1080p': card(0.797, 0.83),
      konvid: card(0.865, 0.877),
      maxwell: card(0.78, 0.782),
    },
  },
  oneAlign: {
    name: 'OneAlign',
    hub: 'q-future/one-align',
    recipe: 'onealign',
    figures: {
      koniq: f(0.941, 0.95),
      spaq: f(0.932, 0.935),
      kadid: f(0.941, 0.942),
      livec: f(0.881, 0.894),
      agiqa: f(0.801, 0.838),
      live: f(0.887, 0.856),
      csiq: f(0.881, 0.906),
      ava: f(0.823, 0.819),
      lsvq: f(0.886, 0.886),
      'lsvq-1080p': f(0.803, 0.837),
      konvid: f(0.876, 0.888),
      maxwell: f(0.781, 0.786),
    },
    card: {
      koniq: card(0.941, 0.95),
      spaq: card(0.932, 0.935),
      kadid: card(0.941, 0.942),
      livec: card(0.881, 0.894),
      agiqa: card(0.801, 0.838),
      live: card(0.887, 0.856),
      csiq: card(0.881, 0.906),
      ava: card(0.823, 0.819),
      lsvq: card(0.886, 0.886),
      'lsvq-1080p': card(0.803, 0.837),
      konvid: card(0.876, 0.888),
      maxwell: card(0.781, 0.786),
    },
  },
} as const satisfies Record<string, PaperModel>;

/**
 * The figure for `paper: <hub id>` in a recipe. The model card has priority over the paper, because it describes the
 * released checkpoint.
 * @param test name of the entry of `data`, a key of TEST_SETS
 * @throws QalignError CONFIG_INVALID if no figure is recorded for this checkpoint and test set
 */
export function publishedFigure(hub: string, test: string): PublishedFigure {
  const published: readonly PaperModel[] = Object.values(PAPER_MODELS);
  const model = published.find((one) => one.hub === hub);
  if (model === undefined) {
    const known = published.flatMap((one) => (one.hub === null ? [] : [one.hub]));
    throw new QalignError('CONFIG_INVALID', `No published figures are recorded for "${hub}"${hint(hub, known)}.`);
  }
  const figures = { ...model.figures, ...model.card };
  const figure = Object.hasOwn(figures, test) ? figures[test] : undefined;
  if (figure === undefined)
    throw new QalignError(
      'CONFIG_INVALID',
      `No published figure is recorded for ${hub} on "${test}"${hint(test, Object.keys(figures))}.`,
    );
  return figure;
}

/**
 * Table 11: (SRCC+PLCC)/2 of mPLUG-Owl2 trained on KonIQ and tested on KADID, from another public transcription. The
 * first figure is the (0.684 + 0.674) / 2 of Table 4.
 */
export const PAPER_LEVELS_AGAINST_SCORES = { levels: 0.679, scores: 0.524 } as const;

/**
 * Q-Align (arXiv 2312.17090), Table 2: SRCC and PLCC between the levels (as numbers 5 to 1) and the MOS, on the
 * training splits.
 */
export const PAPER_LEVEL_PRECISION = [
  { dataset: 'koniq10k', split: 'train', srcc: 0.952, plcc: 0.961 },
  { dataset: 'spaq', split: undefined, srcc: 0.969, plcc: 0.968 },
  { dataset: 'kadid10k', split: 'train', srcc: 0.979, plcc: 0.982 },
  { dataset: 'ava', split: undefined, srcc: 0.92, plcc: 0.93 },
  { dataset: 'lsvq', split: 'train', srcc: 0.94, plcc: 0.944 },
] as const;

/** Table 9, on one RTX 3090: batch size → latency in ms or pictures per second. */
export const PAPER_IMAGE_SPEED: Readonly<Record<number, { latency_ms?: number; images_per_second?: number }>> = {
  1: { latency_ms: 101 },
  64: { images_per_second: 22.94 },
};
/** Table 10, on one RTX 3090: clip length in seconds → latency in ms. */
export const PAPER_CLIP_SPEED: Readonly<Record<number, number>> = { 5: 236, 12: 514 };
