import type { JSX } from 'preact';
import { SERVICE, getText } from '../session.js';
import { bytes, duration, whole } from '../parts/format.js';
import { useLoaded } from '../parts/load.js';
import { Problem, Skeleton, Status } from '../parts/states.js';
import { TableHead } from '../parts/table-head.js';
import { samplesOf, type Sample } from './prometheus.js';

interface Readiness {
  readonly ready: boolean;
  readonly models: readonly string[];
  readonly devices: readonly {
    readonly model: string;
    readonly device: string;
    readonly state: string;
    readonly restarts: number;
  }[];
}

async function loadHealth() {
  const [alive, ready, metrics] = await Promise.all([
    getText('/healthz').then((answer) => answer.json() as Promise<{ version: string; uptime_s: number }>),
    fetch(`${SERVICE}/readyz`).then((answer) => answer.json() as Promise<Readiness>), // 503 has the same body
    getText('/metrics').then((answer) => answer.text()),
  ]);
  return { alive, ready, samples: samplesOf(metrics) };
}

export function HealthScreen(): JSX.Element {
  const { value, problem, reload } = useLoaded(loadHealth, 2000);
  const health = value.value;
  return (
    <>
      <h1 tabIndex={-1}>Health</h1>
      {problem.value !== undefined && <Problem text={problem.value} retry={reload} />}
      {health === undefined ? (
        problem.value === undefined && <Skeleton />
      ) : (
        <>
          <p>
            <Status status={health.ready.ready ? 'ready' : 'starting'} /> qalign {health.alive.version}, running for{' '}
            {duration(health.alive.uptime_s)}
          </p>
          <h2>Workers</h2>
          <Devices devices={health.ready.devices} />
          <h2>Figures</h2>
          <Figures samples={health.samples} />
        </>
      )}
    </>
  );
}

function Devices({ devices }: Pick<Readiness, 'devices'>): JSX.Element {
  if (devices.length === 0) return <p class="soft">No worker has started.</p>;
  return (
    <table class="rows">
      <TableHead columns={['Model', 'Device', 'State', 'Restarts']} numbers={['Restarts']} />
      <tbody>
        {devices.map(({ model, device, state, restarts }, i) => (
          <tr key={i}>
            <td>{model}</td>
            <td>{device}</td>
            <td>
              <Status status={state} />
            </td>
            <td class="n">{restarts}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** Gauges and counters, without the buckets of histograms and the measurements of Node. */
function Figures({ samples }: { readonly samples: readonly Sample[] }): JSX.Element {
  const shown = samples.filter(({ name }) => name.startsWith('qalign_') && !/_(bucket|sum|count)$/.test(name));
  return (
    <div class="wide" tabIndex={0} role="region" aria-label="Figures">
      <table class="rows">
        <TableHead columns={['Figure', 'Of', 'Value']} numbers={['Value']} />
        <tbody>
          {shown.map(({ name, labels, value, help }) => (
            <tr key={`${name}${labels}`}>
              <td title={help}>
                <code>{name.replace('qalign_', '')}</code>
              </td>
              <td class="soft">{labels}</td>
              <td class="n">{name.includes('bytes') ? bytes(value) : whole(value)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
