/** Published SRCC and PLCC, KRCC where it is given. */
export interface PaperFigure {
  readonly srcc: number;
  readonly plcc: number;
  readonly krcc?: number;
}

/** A checkpoint of the paper: where its authors keep it, and the recipe that trains it here. */
export interface PaperModel {
  readonly name: string;
  /** Hub id; null: not published. */
  readonly hub: string | null;
  /** configs/train/<recipe>.yaml; its run is looked for by the same name. */
  readonly recipe: string;
  /** By test set (see TEST_SETS). */
  readonly figures: Readonly<Record<string, PaperFigure>>;
}

/** Where the figures were read: none is from memory, and what was not found there is left out. */
export const FIGURES_FROM = 'the model card of q-future/one-align (revision e04a520) and docs of this project; figures of single data sets, few-shot and ablations are not recorded here';

/** Test set → the data set of configs/datasets, its split, and what its conversion needs beside the labels. */
export const TEST_SETS: Readonly<Record<string, { readonly dataset: string; readonly folders: readonly string[]; readonly split: string; readonly title: string; readonly flags?: string }>> = {
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

const f = (srcc: number, plcc: number, krcc?: number): PaperFigure => ({ srcc, plcc, ...(krcc === undefined ? {} : { krcc }) });

export const PAPER_MODELS = {
  koniq: { name: 'Q-Align (KonIQ)', hub: null, recipe: 'koniq', figures: {} },
  spaq: { name: 'Q-Align (SPAQ)', hub: null, recipe: 'spaq', figures: {} },
  kadid: { name: 'Q-Align (KADID)', hub: null, recipe: 'kadid', figures: {} },
  koniqSpaq: { name: 'Q-Align (KonIQ+SPAQ)', hub: null, recipe: 'koniq-spaq', figures: {} },
  iqa: {
    name: 'Q-Align (IQA)', hub: 'q-future/q-align-iqa', recipe: 'iqa-mix',
    figures: { koniq: f(0.937, 0.945, 0.785), spaq: f(0.931, 0.933, 0.763), kadid: f(0.934, 0.934, 0.777), livec: f(0.887, 0.896, 0.706), live: f(0.874, 0.84, 0.682), csiq: f(0.845, 0.876, 0.654), agiqa: f(0.731, 0.791, 0.529) },
  },
  iqaVqa: {
    name: 'Q-Align (IQA+VQA)', hub: 'q-future/q-align-quality', recipe: 'iqa-vqa',
    figures: { koniq: f(0.944, 0.949, 0.797), spaq: f(0.931, 0.934, 0.764), kadid: f(0.952, 0.953, 0.809), livec: f(0.892, 0.899, 0.715), live: f(0.874, 0.846, 0.684), csiq: f(0.852, 0.876, 0.663), agiqa: f(0.739, 0.782, 0.526) },
  },
  iqaIaa: { name: 'Q-Align (IQA+IAA)', hub: 'q-future/q-align-image', recipe: 'iqa-iaa', figures: {} },
  vqaIaa: { name: 'Q-Align (VQA+IAA)', hub: 'q-future/q-align-iaa-vqa', recipe: 'vqa-iaa', figures: {} },
  iaa: { name: 'Q-Align (IAA)', hub: 'q-future/q-align-aesthetic', recipe: 'ava', figures: { ava: f(0.822, 0.817) } },
  vqa: {
    name: 'Q-Align (VQA)', hub: 'q-future/q-align-vqa', recipe: 'lsvq',
    figures: { lsvq: f(0.883, 0.882), 'lsvq-1080p': f(0.797, 0.83), konvid: f(0.865, 0.877), maxwell: f(0.78, 0.782) },
  },
  oneAlign: {
    name: 'OneAlign', hub: 'q-future/one-align', recipe: 'onealign',
    figures: {
      koniq: f(0.941, 0.95, 0.791), spaq: f(0.932, 0.935, 0.766), kadid: f(0.941, 0.942, 0.791), livec: f(0.881, 0.894, 0.699), live: f(0.887, 0.856, 0.699), csiq: f(0.881, 0.906, 0.699), agiqa: f(0.801, 0.838, 0.602),
      ava: f(0.823, 0.819), lsvq: f(0.886, 0.886), 'lsvq-1080p': f(0.803, 0.837), konvid: f(0.876, 0.888), maxwell: f(0.781, 0.786),
    },
  },
} as const satisfies Record<string, PaperModel>;
