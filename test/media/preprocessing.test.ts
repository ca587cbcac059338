import { Check } from 'typebox/value';
import { expect, it } from 'vitest';
import { PreprocessingSchema } from '../../src/api/result.js';
import { prepareFrame } from '../../src/media/image.js';
import { describePreprocessing, PAD_COLOUR, RESIZE } from '../../src/media/preprocessing.js';

it('describes the reference by default, in the form and the order that results have', () => {
  const reference = describePreprocessing(448);
  expect(JSON.stringify(reference)).toBe(
    '{"size":448,"pad":[122,116,104],"resize":"pillow-bicubic","auto_orient":false,"fps":null,"max_frames":null,"frame_rule":"auto"}',
  );
  const named = describePreprocessing(56, { autoOrient: true, fps: 2, maxFrames: 8 });
  expect(named).toMatchObject({ size: 56, auto_orient: true, fps: 2, max_frames: 8 });
  const both = describePreprocessing(256, { views: ['whole', 'native'] });
  expect(JSON.stringify(both)).toContain('{"size":256,"views":["whole","native"],"pad":');
  expect(describePreprocessing(448, { views: ['whole'] })).toEqual(reference);
  const smart = { kind: 'smart', multiple: 32, min_pixels: 65_536, max_pixels: 200_704 } as const;
  const chat = describePreprocessing(448, { preparation: smart });
  expect(chat).toMatchObject({ form: 'smart', multiple: 32, frame_rule: 'eight', max_frames: 8 });
  const native = describePreprocessing(448, { preparation: { kind: 'native' }, frameRule: 'published' });
  expect(native).toMatchObject({ form: 'native', resize: 'processor', frame_rule: 'published', max_frames: 64 });
  for (const one of [reference, named, both, chat, native]) expect(Check(PreprocessingSchema, one)).toBe(true);
});

it('names the same resampler as the schema of the API, which must not import this folder', () => {
  expect(PreprocessingSchema.properties.resize.enum).toEqual([RESIZE, 'processor']);
});

it('pads with the colour that it names', () => {
  const { data } = prepareFrame({ width: 3, height: 1, data: new Uint8Array(9) }, { size: 3 });
  expect([...data.subarray(0, 3)]).toEqual([...PAD_COLOUR]);
});
