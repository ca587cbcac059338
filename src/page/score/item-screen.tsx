import { useSignal } from '@preact/signals';
import type { JSX, RefObject } from 'preact';
import { useRef } from 'preact/hooks';
import type { ScoreResult } from '../../api/result.js';
import { LEVELS } from '../../scoring/levels.js';
import { apiKey, SERVICE } from '../session.js';
import { linkTo } from '../route.js';
import { LevelTable } from '../parts/level-bars.js';
import { scoreText } from '../parts/format.js';
import { Neighbours } from '../parts/neighbours.js';
import { useObjectUrl } from '../parts/object-url.js';
import { Warning } from '../parts/warning.js';
import { doubts, failureOf, resultOf, rows, shown, type Row } from './rows.js';
import { MapLayer, mapOf, MapPanel } from './quality-map.js';
import { curl, python, typescript, type Call } from './snippets.js';
import { FrameCurve } from './curve/frame-curve.js';
import { isClip } from './inputs.js';

export function ItemScreen({ id }: { readonly id: string }): JSX.Element {
  const row = rows.value.find((one) => String(one.id) === id);
  const video = useRef<HTMLVideoElement>(null);
  if (row === undefined)
    return (
      <>
        <h1 tabIndex={-1}>This item is not in this tab</h1>
        <p>Scores stay in the tab that made them, and end with it. Drop the picture again to see them.</p>
        <p>
          <a href="#/">Score pictures and clips</a>
        </p>
      </>
    );
  const result = resultOf(row);
  const at = shown.value.findIndex((one) => one.id === row.id);
  const itemAt = (place: number): string | undefined => {
    const one = shown.value[place];
    return at < 0 || one === undefined ? undefined : linkTo('item', String(one.id));
  };
  return (
    <>
      <Neighbours label="Items" all="All scores" before={itemAt(at - 1)} after={itemAt(at + 1)} />
      <h1 tabIndex={-1} class="item-title">
        <bdi>{row.name}</bdi>
      </h1>
      <div class="item">
        <div>
          <Picture row={row} video={video} />
          <MapPanel row={row} />
        </div>
        <Details row={row} />
      </div>
      {result?.kind === 'video' && <FrameCurve key={row.id} row={row} result={result} video={video} />}
    </>
  );
}

interface PictureProps {
  readonly row: Row;
  readonly video: RefObject<HTMLVideoElement | null>;
}

function Picture({ row, video }: PictureProps): JSX.Element {
  const { file, name } = row;
  const url = useObjectUrl(file);
  const isBroken = useSignal(false);
  if (file === undefined || isBroken.value)
    return (
      <div class="picture picture-none">
        <p class="soft">
          {file === undefined
            ? 'This picture is at the service; the page does not fetch it.'
            : 'This browser cannot show the format. The score is not affected.'}
        </p>
      </div>
    );
  const onError = (): void => void (isBroken.value = true);
  return (
    <div class="picture">
      {isClip(file) ? (
        <video ref={video} src={url} controls muted playsInline onError={onError} aria-label={name} />
      ) : (
        <span class="map-stage">
          <img class={isAsStored(row) ? 'as-stored' : ''} src={url} alt={name} onError={onError} />
          <MapLayer row={row} />
        </span>
      )}
    </div>
  );
}

/** Whether the windows of the map are those of the stored picture, before its EXIF rotation. */
const isAsStored = (row: Row): boolean =>
  mapOf(row) !== undefined && resultOf(row)?.preprocessing.auto_orient === false;

function Details({ row }: { readonly row: Row }): JSX.Element {
  const [result, failure] = [resultOf(row), failureOf(row)];
  return (
    <div class="details">
      {result !== undefined && <ResultDetails result={result} />}
      {failure !== undefined && (
        <p class="problem" role="alert">
          <code>{failure.code}</code> {failure.message}
        </p>
      )}
      {row.outcome === undefined && <p class="soft">Waiting for the score.</p>}
      {result !== undefined && <Snippets call={callOf(row, result)} />}
    </div>
  );
}

function ResultDetails({ result }: { readonly result: ScoreResult }): JSX.Element {
  return (
    <>
      <p class="big-score">
        <strong>{scoreText(result.score, result.scale)}</strong>
        <span>
          {result.level}
          <span class="soft">
            {result.task}, {result.scale === 'mos5' ? '1 to 5' : result.scale === 'unit' ? '0 to 1' : '0 to 100'},
            standard deviation {scoreText(result.std, result.scale)}
          </span>
        </span>
      </p>
      <LevelTable probs={result.level_probs} />
      {doubts(result).map((text) => (
        <Warning key={text} text={text} />
      ))}
      <details>
        <summary>Logits</summary>
        <Pairs
          of={[
            ...LEVELS.map((level): [string, string] => [level, result.logits[level].toFixed(4)]),
            ['level_mass', result.level_mass.toFixed(4)],
            ['entropy', `${result.entropy.toFixed(4)} nats`],
          ]}
        />
      </details>
      <details>
        <summary>Provenance</summary>
        <Pairs
          of={[
            ['model', result.model.id],
            ['revision', result.model.revision],
            ['weights_sha256', result.model.weights_sha256],
            ['precision', `${result.model.precision} on ${result.model.device}`],
            ['prompt', result.prompt.text],
            ['size', `${result.width} × ${result.height}`],
            ['preprocessing', JSON.stringify(result.preprocessing)],
            ['score_version', result.score_version],
          ]}
        />
      </details>
    </>
  );
}

function Pairs({ of }: { readonly of: readonly (readonly [string, string])[] }): JSX.Element {
  return (
    <dl class="pairs">
      {of.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            <code>{value}</code>
          </dd>
        </div>
      ))}
    </dl>
  );
}

const callOf = (row: Row, { scale, model }: ScoreResult): Call => ({
  service: SERVICE,
  name: row.name,
  task: row.task,
  scale,
  model: model.id,
  needsKey: apiKey.value !== '',
  source: row.source,
});

const LANGUAGES = { curl, TypeScript: typescript, Python: python } as const;

function Snippets({ call }: { readonly call: Call }): JSX.Element {
  const copied = useSignal('');
  const copy = async (name: string, text: string): Promise<void> => {
    // Pages without TLS on another machine have no clipboard; the text can then be selected.
    await navigator.clipboard?.writeText(text).catch(() => undefined);
    copied.value = name;
  };
  return (
    <details>
      <summary>Copy as code</summary>
      {Object.entries(LANGUAGES).map(([name, write]) => {
        const text = write(call);
        return (
          <div class="snippet" key={name}>
            <div class="snippet-head">
              <span>{name}</span>
              <button type="button" class="small" onClick={() => void copy(name, text)}>
                {copied.value === name ? 'Copied' : `Copy ${name}`}
              </button>
            </div>
            <pre tabIndex={0}>{text}</pre>
          </div>
        );
      })}
      <span class="hidden" role="status">
        {copied.value === '' ? '' : `${copied.value} copied`}
      </span>
    </details>
  );
}
