import { Type, type Static } from 'typebox';
import { RunRecipe } from '../../bridge/protocol/recipe.js';
import { DEFAULT_MODEL } from './models.js';

const closed = { additionalProperties: false } as const;
const count = (fallback: number, description: string) => Type.Integer({ minimum: 1, default: fallback, description });

/** `configs/serve.yaml`: the HTTP service. */
export const ServeConfig = Type.Object(
  {
    host: Type.String({
      default: '127.0.0.1',
      description: 'anything but a loopback address needs an API key first ("qalign keys create")',
    }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8080,
      description: '0: any free port, told in the log',
    }),
    health_port: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.Null()], {
      default: null,
      description:
        'a listener for /healthz, /readyz and /metrics alone, which answers while the other has no connection left; 0: any free port; null: none',
    }),
    health_host: Type.String({
      default: '127.0.0.1',
      description: 'of that listener; on a loopback address it asks for no key, elsewhere /metrics needs one',
    }),
    data_dir: Type.String({
      minLength: 1,
      default: 'runs/service',
      description: 'keys, jobs and their results, uploads on their way',
    }),
    models: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      default: [DEFAULT_MODEL],
      description: 'loaded at the start; the first is used when a request names none',
    }),
    most_models: count(2, 'models loaded at a time'),
    device: Type.String({ default: 'auto', description: 'auto, cpu, cuda:N, or several (0,1): one worker each' }),
    precision: Type.Union([Type.Literal('auto'), Type.Literal('fp32'), Type.Literal('bf16'), Type.Literal('fp16')], {
      default: 'auto',
      description: 'auto: fp32 on a CPU, bf16 on CUDA',
    }),
    max_batch_frames: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description: 'null: 16 on a CPU, 64 on CUDA',
    }),
    offline: Type.Boolean({
      default: false,
      description: 'never ask the hub and install nothing, for scoring, trainings and evaluations',
    }),
    root: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'folder whose files requests may name, without those below data_dir and runs_dir; null: none',
    }),
    runs_dir: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'run directories of trainings; null: QALIGN_RUNS or runs',
    }),
    trackers: Type.Array(RunRecipe.properties.trackers.items, {
      default: [],
      description: 'trackers that a training may send its metrics to; none by default',
    }),
    most_processes: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description: 'processes of one training, never more than GPUs (cores on a CPU); null: as many as those',
    }),
    allow_urls: Type.Boolean({ default: false, description: 'fetch http(s) URLs, public addresses only' }),
    cors_origins: Type.Array(Type.String({ pattern: '^https?://[^/*\\s]+$' }), {
      default: [],
      description:
        'pages of these origins may call (https://tools.example.org), with a key where there are keys; none by default',
    }),
    limits: Type.Object(
      {
        items: count(64, 'in one request'),
        body_mb: count(32, 'of a JSON body'),
        upload_mb: count(512, 'of one uploaded file'),
        memory_mb: count(256, 'of uploads held in memory at a time; beyond it they go to disk'),
        key_memory_mb: count(128, 'of memory_mb that the requests of one key may hold'),
        manifest_mb: count(1024, 'of the list of a job'),
        pixels: count(178_956_970, 'of a picture'),
        decode_mb: count(
          2048,
          'of memory to decode pictures, over all threads and models; what is not free is waited for. 2048 (2 GB) hold 20 JPEGs or PNGs of 24 megapixels at a time, or two of 178 (progressive and interlaced ones take twice as much)',
        ),
        frame_pixels: count(9_437_184, 'of a frame of a clip; the default is 4096 × 2304'),
        ffmpeg_mb: count(
          2048,
          'of memory for ffmpeg, for each of two processes of a model at a time; Linux only. Frames of 8 megapixels take 0.4 GB, of 67 megapixels 1.6 GB',
        ),
        frames: count(
          600,
          'of a clip that are scored, one a second; two clips at a time are held whole, 600 kB a frame',
        ),
        decode_ms: count(60_000, 'to decode one picture or clip'),
        connections: count(2048, 'open at a time'),
        address_connections: count(1024, 'open at a time from one address (of IPv6 one /64 network)'),
      },
      { ...closed, default: {}, description: 'what one request may cost' },
    ),
    request_ms: count(30_000, 'a request is answered within this or gets 504; a request may ask for less'),
    step_ms: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description:
        'a worker that makes no step of its computation for so long is killed and replaced; null: twice request_ms, or four times what its largest batch takes',
    }),
    deterministic: Type.Boolean({
      default: false,
      description:
        'each item is computed alone, so that a score has the same bytes whatever else is scored; a GPU is slower where many wait',
    }),
    shutdown_ms: count(15_000, 'from SIGTERM to the end'),
    rate_per_minute: Type.Integer({
      minimum: 0,
      default: 6000,
      description: 'requests of one key (or address, where there are no keys); 0: no limit',
    }),
    jobs: Type.Object(
      {
        concurrent: count(2, 'jobs that run at a time'),
        in_flight: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
          default: null,
          description: 'items of a job decoded or waiting at a time; null: what keeps every worker busy',
        }),
        keep_days: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
          default: null,
          description:
            'a job that ended goes after so many days, with its list and results; a jump of the clock counts a day at most; null: it stays',
        }),
        attempts: count(5, 'how often an item is tried when workers are lost under it'),
      },
      { ...closed, default: {}, description: 'scoring jobs of /v1/jobs' },
    ),
    webhooks: Type.Object(
      {
        hosts: Type.Array(Type.String({ pattern: '^[^/@\\s]+$' }), {
          default: [],
          description: 'hosts that a job may name in its webhook, with the port where it is not 443; none by default',
        }),
        secret: Type.Union([Type.String(), Type.Null()], {
          default: null,
          description:
            'signs webhooks: whsec_ and 24 to 64 bytes in base64. Several, divided by spaces, give as many signatures, so that a secret can be replaced; QALIGN_SERVE_WEBHOOKS__SECRET keeps it out of the file',
        }),
        allow_loopback: Type.Boolean({
          default: false,
          description: 'hosts may be on this machine, then also by http; without it only public addresses, by https',
        }),
      },
      { ...closed, default: {}, description: 'signed messages at the end of a job (Standard Webhooks)' },
    ),
    traces: Type.Object(
      {
        endpoint: Type.Union([Type.String({ pattern: '^https?://' }), Type.Null()], {
          default: null,
          description: 'where spans go by OTLP/HTTP in JSON (http://collector:4318/v1/traces); null: nowhere',
        }),
        headers: Type.Record(Type.String(), Type.String(), {
          default: {},
          description: 'sent with them, such as an authorization of the collector',
        }),
      },
      {
        ...closed,
        default: {},
        description: 'OpenTelemetry: a span for each request and job, and for what their items wait for',
      },
    ),
    log_level: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')], {
      default: 'info',
      description: 'log lines of this level and above are written; debug has every message of the bridge',
    }),
  },
  closed,
);
export type ServeConfig = Static<typeof ServeConfig>;
