import { copyFile, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetRecord } from '../../bridge/protocol/record.js';
import { listDatasetSpecs, loadQuestions } from '../../src/config/datasets.js';
import { convertDataset } from '../../src/recipes/data/convert.js';

const FIXTURES = fileURLToPath(new URL('../fixtures/datasets/distributors/', import.meta.url));
/** Invented rows with the file names and columns of the distributors. */
const TEXTS: Readonly<Record<string, string>> = {
  'dmos.csv':
    'dist_img,ref_img,dmos,var\nI01_01_01.png,I01.png,4.57,0.25\nI01_01_02.png,I01.png,1.33,0.36\nI81_01_01.png,I81.png,2.5,1\nI81_01_02.png,I81.png,3.5,1\n',
  'koniq10k_distributions_sets.csv':
    '"image_name","c1","MOS","SD","set"\n"1.jpg",0,77.5,0.5,"training"\n"2.jpg",0,20.5,0.25,"validation"\n"3.jpg",0,50,1,"test"\n',
  'mos_with_names.txt': '5.51429 I01_01_1.bmp\n1.25 i25_24_5.BMP\n',
  'labels_train_test.csv':
    'name,height,width,mos,frame_number,is_test\nyfcc-batch1/1,10,10,60.5,300,False\nyfcc-batch1/2,10,10,20.25,300,False\nia-batch2/3.mp4,10,10,80,240,True\nia-batch2/4,10,10,30,240,True\n',
  'labels_test_1080p.csv': 'name,height,width,mos\nyfcc-batch9/5,1080,1920,50\nyfcc-batch9/6,1080,1920,90\n',
  'KoNViD_1k_mos.csv': 'flickr_id,mos\n3339962845,4.6400000000\n10,1.25\n',
  'MaxWell_train.csv': ',O\n0,1.5\n1,4.25\n',
  'MaxWell_val.csv': ',O\n0,2.5\n1,3\n',
  'dover_train_labels.txt': '0001.mp4, 0.1, 0.2, 1.5\n0002.mp4, 0.1, 0.2, 4.25\n',
  'dover_val_labels.txt': '0000.mp4, 0.1, 0.2, 2.5\n0003.mp4, 0.1, 0.2, 3\n',
  'data.csv': 'name,prompt,mos_quality,std_quality\na.jpg,"a cat, sitting",2.5,0.5\nb.jpg,dog,4,0.25\n',
  'live_all.txt': 'jp2k/img59.bmp\t101.500000\t1.7\ngblur/img3.bmp\t9.250000\t2.1\n',
  'tid_labels_train.json': '[{"image_id": "I04_01_1", "label": [0.5, 0.5, 0, 0, 0, 0, 0, 0, 0, 0]}]',
  'tid_labels_test.json': '[{"image_id": "I01_01_1", "label": [0, 0, 0, 0, 0, 0, 0, 0, 1, 0]}]',
  'AVA.txt': '1 10 0 1 2 3 4 5 6 7 8 9 1 2 3\n2 11 9 8 7 6 5 4 3 2 1 0 1 2 3\n',
  'generic_test.jpgl': '999\n',
  'train.csv': 'name,mos\nx1.png,2.5\nx2.png,4\n',
  'labels_image.csv': 'name,mos\nvoc/a.jpg,70.5\nvoc/b.jpg,20\n',
  'pipal22_train.txt': 'A0001_00_00.bmp,1520.0648\nA0002_00_01.bmp,1420.5\n',
  'Train (Images and MOS).csv': 'Image Name,MOS\nss01 (1).jpg,0.25\nss01 (2).jpg,0.75\n',
  'Test (Images and MOS).csv': 'Image Name,MOS\nss01 (3).jpg,0.5\nss01 (4).jpg,1\n',
};

let labels: string;
beforeAll(async () => {
  labels = await mkdtemp(join(tmpdir(), 'qalign-distributors-'));
  await Promise.all([
    ...Object.entries(TEXTS).map(([name, text]) => writeFile(join(labels, name), text)),
    ...(await readdir(FIXTURES))
      .filter((name) => !name.endsWith('.py'))
      .map((name) => copyFile(join(FIXTURES, name), join(labels, name))),
  ]);
});
afterAll(() => rm(labels, { recursive: true, force: true }));

async function convert(dataset: string, source?: string): Promise<{ source: string; records: DatasetRecord[] }> {
  const lines: string[] = [];
  const { manifest } = await convertDataset({
    dataset,
    labels,
    source,
    range: 'minmax',
    over: 'all',
    outside: 'clip',
    out: (text) => void lines.push(text),
  });
  return {
    source: manifest.source,
    records: lines
      .join('')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as DatasetRecord),
  };
}

describe("the distributor's own file", () => {
  it.each<[string, string, Partial<DatasetRecord>[]]>([
    [
      'kadid10k',
      'distributor',
      [
        { id: 'I01_01_01.png', mos: 4.57, mos_std: 0.5, split: 'train', group: 'I01' },
        { mos: 1.33, mos_std: 0.6 },
        { split: 'test', group: 'I81' },
        {},
      ],
    ],
    [
      'koniq10k',
      'distributor',
      [
        { id: '1.jpg', mos: 77.5, mos_std: 0.5 * 27.81737389, split: 'train', media: 'koniq/1.jpg' },
        { split: 'dev' },
        { split: 'test' },
      ],
    ],
    ['spaq', 'distributor', [{ id: '00001.jpg', mos: 48.86, split: 'all' }, { mos: 10.5 }, { level: 'excellent' }]],
    [
      'tid2013',
      'distributor',
      [
        { id: 'i01_01_1.bmp', mos: 5.51429, group: 'i01' },
        { id: 'i25_24_5.bmp', group: 'i25' },
      ],
    ],
    [
      'lsvq',
      'distributor',
      [
        { id: 'yfcc-batch1/1.mp4', mos: 60.5, split: 'train', kind: 'video' },
        { split: 'train' },
        { id: 'ia-batch2/3.mp4.mp4', split: 'test' },
        { split: 'test' },
        { id: 'yfcc-batch9/5.mp4', split: '1080p' },
        { split: '1080p' },
      ],
    ],
    ['konvid1k', 'distributor', [{ id: '3339962845.mp4', mos: 4.64 }, { mos: 1.25 }]],
    [
      'maxwell',
      'distributor',
      [{ id: '0001.mp4', mos: 1.5, split: 'train' }, { id: '0002.mp4' }, { id: '0000.mp4', split: 'test' }, { mos: 3 }],
    ],
    ['agiqa3k', 'distributor', [{ id: 'a.jpg', mos: 2.5, mos_std: 0.5 }, { mos: 4 }]],
    ['agiqa20k', 'challenge', [{ id: 'x1.png', mos: 2.5, split: 'train' }, { mos: 4 }]],
    ['flive', 'distributor', [{ id: 'voc/a.jpg', mos: 70.5 }, { mos: 20 }]],
    ['pipal', 'maniqa', [{ id: 'A0001_00_00.bmp', mos: 1520.0648, group: 'A0001' }, { group: 'A0002' }]],
    ['biq2021', 'distributor', [{ id: 'ss01 (1).jpg', split: 'train' }, { mos: 0.75 }, { split: 'test' }, { mos: 1 }]],
    ['livec', 'distributor', [{ id: 't1.bmp', mos: 10.5, mos_std: 20 }, { id: '10.bmp', mos: 50.25 }, { mos_std: 10 }]],
    [
      'csiq',
      'distributor',
      [
        { id: 'awgn/1600.AWGN.1.png', mos: 0.9375, mos_std: 0.06, group: '1600', level: 'excellent' },
        { id: 'jpeg2000/aerial_city.jpeg2000.5.png', mos: 0.125, level: 'bad' },
        { id: 'contrast/boston.contrast.2.png' },
      ],
    ],
  ])('of %s, source %s', async (dataset, source, wanted) => {
    const found = await convert(dataset);
    expect(found.source).toBe(source);
    expect(found.records).toHaveLength(wanted.length);
    expect(found.records).toMatchObject(wanted);
  });

  it('of LIVE: 982 scores in MAT-files, named by their order, inverted', async () => {
    const { source, records } = await convert('live');
    expect(source).toBe('realigned');
    expect(records).toHaveLength(982);
    expect(records[0]).toMatchObject({ id: 'jp2k/img1.bmp', group: 'ref0', mos_std: 5 });
    expect(records.at(-1)).toMatchObject({ id: 'fastfading/img174.bmp', group: `ref${981 % 29}` });
    const [best, worst] = [
      records.reduce((a, b) => (a.mos > b.mos ? a : b)),
      records.reduce((a, b) => (a.mos < b.mos ? a : b)),
    ];
    expect([best.level, worst.level]).toEqual(['excellent', 'bad']);
  });
});

describe('copies by others', () => {
  it('of LIVE by LIQE are already inverted, and the invented votes of TID2013 give no spread', async () => {
    const live = (await convert('live', 'liqe')).records;
    expect(live.map(({ mos, level }) => [mos, level])).toEqual([
      [101.5, 'excellent'],
      [9.25, 'bad'],
    ]);
    const tid = (await convert('tid2013', 'idealo')).records;
    expect(tid.map(({ mos, mos_std: std, level_probs: probs }) => [mos, std, probs])).toEqual([
      [1.5, undefined, undefined],
      [9, undefined, undefined],
    ]);
  });

  it('of a part of AVA can lack all test pictures', async () => {
    expect((await convert('ava', 'distributor-flat')).records.map(({ id, split }) => [id, split])).toEqual([
      ['10.jpg', 'train'],
      ['11.jpg', 'train'],
    ]);
  });
});

describe('configs/datasets', () => {
  it('describe each set completely: version, licence, citation, questions, and valid patterns', async () => {
    const specs = await listDatasetSpecs();
    const names = specs.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
    expect(new Set(names).size).toBe(names.length);
    for (const spec of specs) {
      expect((await loadQuestions(spec.questions)).length, spec.name).toBeGreaterThanOrEqual(7);
      expect(spec.citation, spec.name).toMatch(/\d{4}/);
      for (const pattern of [
        spec.names,
        ...spec.sources.flatMap(({ files }) =>
          files.flatMap(({ group, skip_names: skip, split_name: split, name }) => [
            group,
            skip,
            split,
            ...(name?.rewrite ?? []).map(([from]) => from),
          ]),
        ),
      ])
        if (pattern !== undefined) expect(() => new RegExp(pattern)).not.toThrow();
    }
  });
});
