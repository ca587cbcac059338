/** Reproducible noise with many 0 and 255, which overshoot: uint8 RGB. test/fixtures/resize/make.py makes the same. */
export function noise(width: number, height: number, seed: number): Uint8Array {
  const data = new Uint8Array(width * height * 3);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < data.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const value = state >>> 23;
    data[i] = value > 383 ? 255 : value > 255 ? 0 : value;
  }
  return data;
}
