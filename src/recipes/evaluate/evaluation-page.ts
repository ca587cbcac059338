import { thumbnail } from '../../media/thumbnail.js';
import { escape, figure, page, row, table } from '../../report/page.js';
import { bars, lines, matrix, MAX_POINTS, scatter } from '../../report/plots.js';
import { decimal, signed } from '../../report/text.js';
import { LEVELS } from '../../scoring/levels.js';
import { logisticAt } from '../../scoring/statistics/logistic.js';
import type { EvaluateResult, EvaluatedDataset } from './result.js';
import { INTERVALS, metricsTable, modelSentence, ruleSentences } from './markdown.js';

/** The report of an evaluation as one HTML file, pictures included. */
export async function evaluationPage(result: EvaluateResult, datasets: readonly EvaluatedDataset[]): Promise<string> {
  const { head, rows } = metricsTable(result.datasets);
  const sections = await Promise.all(datasets.map(datasetSection));
  const { qalign, commit, node } = result.provenance;
  const note = `<p class="${result.model.untrained ? 'note' : 'soft'}">${escape(modelSentence(result))}</p>`;
  const end = `<p class="soft">qalign ${escape(qalign)}${commit === null ? '' : `, commit ${escape(commit.slice(0, 12))}`}, Node ${escape(node)}.</p>`;
  return page({
    title: `Evaluation: ${result.name}`,
    body: [
      note,
      ...ruleSentences(result).map((text) => `<p>${escape(text)}</p>`),
      table(
        head,
        rows.map((cells) => cells.map((cell) => cell.replace(' [', '\n['))),
      ),
      `<p class="soft">${escape(INTERVALS)}</p>`,
      ...sections,
      end,
    ].join('\n'),
  });
}

/** Everything about one data set: the cloud with its curve, levels, confusion, calibration, worst misses. */
export async function datasetSection({ result, predictions, media }: EvaluatedDataset): Promise<string> {
  const { metrics, calibration } = result;
  const { logistic } = metrics;
  const { rows, table: predicted } = predictions;
  const points = Array.from(rows.index, (index, k) => ({
    x: rows.scores[k]!,
    y: rows.mos[k]!,
    label: `${predicted.ids[index]}: score ${decimal(rows.scores[k], 3)}, MOS ${decimal(rows.mos[k], 3)}`,
  }));
  const shownPoints = points.length > MAX_POINTS ? `${MAX_POINTS} of ${points.length} items` : `${points.length} items`;
  const figures = [
    figure(
      scatter({
        points,
        curve: logistic === null ? undefined : (x) => logisticAt(logistic, x),
        xLabel: 'score',
        yLabel: 'MOS',
      }),
      `${shownPoints}${logistic === null ? '' : `; the curve is the 4-parameter logistic: β1 ${decimal(logistic.beta1, 3)}, β2 ${decimal(logistic.beta2, 3)}, β3 ${decimal(logistic.beta3, 3)}, β4 ${decimal(logistic.beta4, 3)}`}.`,
    ),
    figure(
      bars({
        names: LEVELS,
        series: [
          ...(result.level_counts.mos === null ? [] : [{ name: 'MOS', values: result.level_counts.mos }]),
          { name: 'model', values: result.level_counts.predicted },
        ],
        yLabel: 'items',
      }),
      'How many items are of each level, and are put there by the model.',
    ),
  ];
  if (result.confusion !== null)
    figures.push(
      figure(
        matrix({ rows: LEVELS, columns: LEVELS, values: result.confusion, rowLabel: 'MOS', columnLabel: 'model' }),
        `Levels: ${decimal((metrics.level_accuracy ?? 0) * 100, 1)} % agree. Shaded by the share of the row.`,
      ),
    );
  if (calibration !== null) {
    const bins = calibration.bins.map(({ predicted: x, mos: y }) => ({ x, y }));
    const ends = [bins[0]!, bins.at(-1)!].map(({ x }) => ({ x, y: x }));
    figures.push(
      figure(
        lines({
          series: [
            { name: 'calibrated scores', points: bins },
            { name: 'perfect', points: ends },
          ],
          xLabel: 'mean calibrated score',
          yLabel: 'mean MOS',
        }),
        `Reliability after ${calibration.method} calibration on ${calibration.fitted_on}: expected calibration error ${decimal(calibration.ece)}, RMSE ${decimal(calibration.rmse)}, in units of the MOS.`,
      ),
    );
  }
  const failed =
    result.failed.length === 0
      ? ''
      : `<p class="note">${result.failed.length} of ${result.records} items failed and are in no number: ${escape(
          result.failed
            .slice(0, 20)
            .map(({ id, error }) => `${id} (${error.code})`)
            .join(', '),
        )}.</p>`;
  const warned =
    result.warned.length === 0
      ? ''
      : `<p class="note">${result.warned.length} of ${result.records} predictions have warnings and are in the numbers: ${escape(
          result.warned
            .slice(0, 20)
            .map(({ id, warnings }) => `${id} (${warnings.join('; ')})`)
            .join(', '),
        )}.</p>`;
  return `<h2>${escape(result.dataset)}</h2>\n${failed}${warned}${row(...figures)}\n${await worstMisses(result.worst, media)}`;
}

async function worstMisses(worst: EvaluatedDataset['result']['worst'], media: readonly string[]): Promise<string> {
  if (worst.length === 0) return '';
  const pictures = await Promise.all(
    worst.map(async ({ index, id, mos, score, error }) => {
      const image = await thumbnail(media[index]!).then(
        (uri) => `<img src="${uri}" alt="${escape(id)}">`,
        () => '<p class="soft">no picture</p>',
      );
      return figure(image, `${id}: MOS ${decimal(mos, 3)}, score ${decimal(score, 3)}, off by ${signed(error, 3)}`);
    }),
  );
  return `<h3>Worst misses</h3><p class="soft">Furthest from the curve, in units of the MOS.</p><div class="thumbs">${pictures.join('\n')}</div>`;
}
