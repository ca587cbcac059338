import { describe, expect, it } from 'vitest';
import { chooseFfmpeg, type Candidate } from '../../../src/media/video/tools/ffmpeg-choice.js';

const said = (version: string, codec: string, more = 'libswscale      6.  7.100 /  6.  7.100\n'): string =>
  `ffmpeg version ${version} Copyright (c) 2000-2026 the FFmpeg developers\nlibavcodec     ${codec} / ${codec}\n${more}`;
const path = (text: string | undefined): Candidate => ({ path: '/usr/bin/ffmpeg', origin: 'PATH', said: text });
const bundled = (text: string | undefined): Candidate => ({ path: '/m/ffmpeg', origin: 'ffmpeg-static', said: text });

const DEBIAN = said('5.1.9-0+deb12u1', '59. 37.100');
const STATIC = said('7.0.2-static', '61.  3.100');
const NIGHTLY = said('N-118000-gabc', '61. 19.100');

describe('which ffmpeg is used', () => {
  it.each([
    ['the only one, whatever it says', [path(undefined)], '/usr/bin/ffmpeg', /^$/],
    ['the newer one, here of the npm package', [path(DEBIAN), bundled(STATIC)], '/m/ffmpeg', /newer than .*5\.1\.9/],
    ['the newer one, here of PATH', [bundled(STATIC), path(NIGHTLY)], '/usr/bin/ffmpeg', /newer than .*7\.0\.2-static/],
    ['PATH in a tie', [bundled(STATIC), path(STATIC)], '/usr/bin/ffmpeg', /as new as/],
    ['the one that runs', [path(undefined), bundled(DEBIAN)], '/m/ffmpeg', /does not run/],
    [
      'the one that makes RGB frames',
      [path(DEBIAN), bundled(said('8.0', '62. 1.100', ''))],
      '/usr/bin/ffmpeg',
      /lacks/,
    ],
  ] as const)('%s', (_, candidates, expected, why) => {
    for (const order of [candidates, [...candidates].toReversed()])
      expect(chooseFfmpeg(order)).toEqual({ path: expected, why: expect.stringMatching(why) as string });
  });

  it('none if none exists', () => {
    expect(chooseFfmpeg([])).toBeUndefined();
  });
});
