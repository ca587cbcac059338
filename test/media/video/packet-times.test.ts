import { expect, it } from 'vitest';
import { createPacketTimes, type Packet } from '../../../src/media/video/packet-times.js';

const STREAM = { tick: { numerator: 1, denominator: 1000 }, hidesPackets: false, broadcast: false };
const packet = (pts: number | undefined, more: Partial<Packet> = {}): Packet => ({
  pts,
  decoded: pts === undefined ? undefined : pts / 1000,
  duration: 40,
  key: false,
  discard: false,
  encrypted: false,
  ...more,
});
function collect(packets: readonly Packet[], stream: Partial<typeof STREAM> = {}) {
  const times = createPacketTimes();
  for (const one of packets) times.add(one);
  const { stamps, ...others } = times.finish({ ...STREAM, ...stream });
  return { stamps: [...stamps], ...others };
}

it('begins with the first key packet, in display order, without packets that are never shown', () => {
  const found = collect([
    packet(0),
    packet(120, { key: true, duration: 41 }),
    packet(80),
    packet(100, { discard: true }),
    packet(undefined),
  ]);
  expect(found).toMatchObject({ packets: 5, leading: 1, firstKey: 120, stamps: [80, 120], lastDuration: 41 });
  expect(found.lacking).toBeCloseTo(1 / 3);
});

it('without any key packet, all count', () => {
  expect(collect([packet(0), packet(40)])).toMatchObject({ leading: 0, firstKey: undefined, stamps: [0, 40] });
});

it('hours of packets are stored as numbers', () => {
  const times = createPacketTimes();
  for (let i = 0; i < 100_000; i++) times.add(packet(i * 17, { key: i % 60 === 0 }));
  expect(times.finish(STREAM).stamps).toHaveLength(100_000);
});

it('packets that show nothing share a stamp with a picture, or follow it closely', () => {
  const packets = [packet(0, { key: true }), packet(33), packet(33), packet(67), packet(68), packet(100)];
  expect(collect(packets).stamps).toEqual([0, 33, 67, 68, 100]);
  expect(collect(packets, { hidesPackets: true }).stamps).toEqual([0, 33, 67, 100]);
});

it('joined recordings have jumps, a still screen has none', () => {
  const part = [packet(0, { key: true }), packet(40), packet(1000), packet(2000)];
  expect(collect(part).jumps).toBe(false);
  expect(collect([...part, ...part]).jumps).toBe(true);
  const later = [...part, packet(3_600_000), packet(3_600_040)];
  expect(collect(later).jumps).toBe(false);
  expect(collect(later, { broadcast: true }).jumps).toBe(true);
});

it('single damaged stamps are ignored', () => {
  const steady = Array.from({ length: 50 }, (_, i) => packet(i * 40, { key: i === 0 }));
  const decoded = steady.with(20, packet(9_000_000)).with(30, packet(-9_000_000));
  expect(collect(decoded, { broadcast: true })).toMatchObject({ jumps: false, lacking: 2 / 50 });
  const shown = steady.with(20, packet(800, { pts: 5_369_108 }));
  expect(collect(shown, { broadcast: true }).stamps.at(-1)).toBe(49 * 40);
});

it('a last picture that is shown long after its decoding belongs to a still screen', () => {
  const moving = Array.from({ length: 50 }, (_, i) => packet(i * 40 + 80, { key: i === 0, decoded: i / 25 }));
  const still = packet(9000, { decoded: 2 });
  expect(collect([...moving, still], { broadcast: true }).stamps.at(-1)).toBe(9000);
  expect(collect([...moving, packet(99_000, { decoded: 2 })], { broadcast: true }).stamps.at(-1)).toBe(2040);
});

it('decoding times are kept in ticks, if all packets have one', () => {
  const late = [packet(80, { decoded: -0.04 }), packet(0, { key: true }), packet(40, { pts: undefined }), packet(120)];
  expect([...(collect(late).decodedAt ?? [])]).toEqual([0, 40, 120]);
  expect(collect([...late, packet(undefined)]).decodedAt).toBeUndefined();
});

it('one encrypted packet marks the clip as encrypted, also after a clear beginning', () => {
  expect(collect([packet(0, { key: true }), packet(40)]).encrypted).toBe(false);
  expect(collect([packet(0, { key: true }), packet(40, { encrypted: true })]).encrypted).toBe(true);
});
