/** Lines of the events of a training. */
export function trainEvents(from: number, to: number, seed: number): string {
  const noise = (step: number): number => ((step * 7919 + seed * 104729) % 1000) / 1000;
  const events: object[] = [];
  if (from === 1)
    events.push({ event: 'started', time: 1.79e9, step: 0, total_steps: 400, steps_per_epoch: 100, processes: 1, device: 'cpu', parameters: 7_000_000, trainable: 7_000_000, items: 1600, skipped: 0 }); // prettier-ignore
  for (let step = from; step <= to; step++) {
    const loss = 2 * Math.exp(-step / (90 + seed * 40)) + 0.3 + 0.2 * noise(step);
    const terms = { next_token: loss, soft_label: null, fidelity: null, in_level: null, series: null };
    events.push({ event: 'step', time: 1.79e9 + step, step, epoch: step / 100, loss, terms, learning_rate: (2e-5 * (1 + Math.cos((Math.PI * step) / 400))) / 2, grad_norm: 1 + 3 * noise(step + 3), images_per_s: 80 + 10 * noise(step + 5), mfu: null, memory_bytes: 2e9 }); // prettier-ignore
    if (step % 50 === 0)
      events.push({ event: 'evaluation', time: 1.79e9 + step, step, srcc: 0.9 - 0.5 * Math.exp(-step / 120) - seed * 0.02, plcc: 0.92 - 0.5 * Math.exp(-step / 120), items: 200, score_std: 0.6, level_mass: 0.98 }); // prettier-ignore
  }
  return events.map((event) => `${JSON.stringify(event)}\n`).join('');
}
