import { PRECISIONS } from '../../bridge/protocol/models.js';
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
      description: 'address to listen on; an address other than loopback requires an API key ("qalign keys create")',
    }),
    port: Type.Integer({
      minimum: 0,
      maximum: 65_535,
      default: 8080,
      description: 'port to listen on; 0: any free port, which is in the log',
    }),
    health_port: Type.Union([Type.Integer({ minimum: 0, maximum: 65_535 }), Type.Null()], {
      default: null,
      description:
        'port of a second listener for /healthz, /readyz and /metrics. It also answers when all connections of the first are in use. 0: any free port; null: no second listener',
    }),
    health_host: Type.String({
      default: '127.0.0.1',
      description: 'address of the second listener; on addresses other than loopback, /metrics requires a key',
    }),
    data_dir: Type.String({
      minLength: 1,
      default: 'runs/service',
      description: 'folder of API keys, jobs with their results, and uploads',
    }),
    models: Type.Array(Type.String({ minLength: 1 }), {
      minItems: 1,
      default: [DEFAULT_MODEL],
      description: 'models to load at the start; the first is used for requests without a model',
    }),
    most_models: count(2, 'maximum number of models loaded at a time'),
    device: Type.String({
      default: 'auto',
      description: 'auto, cpu, cuda:N, or a list of GPUs (0,1) with one worker each',
    }),
    precision: Type.Union(
      PRECISIONS.map((name) => Type.Literal(name)),
      {
        default: 'auto',
        description:
          'auto: bf16 on CUDA for models of a billion parameters or more, else fp32. Smaller and less exact: fp8, int8, nf4',
      },
    ),
    max_batch_frames: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description: 'maximum number of pictures or frames in a batch; null: 16 on a CPU, 64 on CUDA',
    }),
    offline: Type.Boolean({
      default: false,
      description: 'do not access the hub and do not install anything',
    }),
    root: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description:
        'folder of the files that requests can name, except files below data_dir and runs_dir; null: no files',
    }),
    runs_dir: Type.Union([Type.String({ minLength: 1 }), Type.Null()], {
      default: null,
      description: 'folder of training runs; null: QALIGN_RUNS or runs',
    }),
    trackers: Type.Array(RunRecipe.properties.trackers.items, {
      default: [],
      description: 'trackers that a training is allowed to send metrics to',
    }),
    most_processes: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description:
        'maximum number of processes of a training; null: the number of GPUs, or of CPU cores on a machine without a GPU',
    }),
    allow_urls: Type.Boolean({
      default: false,
      description: 'accept inputs that are http(s) URLs of public addresses, and download them',
    }),
    page: Type.Boolean({
      default: true,
      description: 'serve the page at /, where people drop pictures and watch jobs; false: / is not found',
    }),
    cors_origins: Type.Array(Type.String({ pattern: '^https?://[^/*\\s]+$' }), {
      default: [],
      description:
        'origins of web pages that can call the service (https://tools.example.org); they need a key if keys exist',
    }),
    limits: Type.Object(
      {
        items: count(64, 'maximum number of items in a request'),
        body_mb: count(32, 'maximum size of a JSON body in MiB'),
        upload_mb: count(512, 'maximum size of an uploaded file in MiB'),
        memory_mb: count(256, 'memory in MiB for all uploads; further uploads are written to disk'),
        key_memory_mb: count(128, 'maximum part of memory_mb for the requests of one key'),
        manifest_mb: count(1024, 'maximum size of the input list of a job in MiB'),
        pixels: count(178_956_970, 'maximum number of pixels of a picture'),
        decode_mb: count(
          2048,
          'memory in MiB for decoding pictures, in all threads and for all models; pictures wait for free memory. 2048 is enough for 20 JPEGs or PNGs of 24 megapixels at a time, or two of 178. Progressive and interlaced files need twice as much',
        ),
        frame_pixels: count(9_437_184, 'maximum number of pixels of a frame of a clip; the default is 4096 × 2304'),
        ffmpeg_mb: count(
          2048,
          'memory in MiB for each ffmpeg process; a model runs two of them. Linux only. Frames of 8 megapixels need 0.4 GB; frames of 67 megapixels need 1.6 GB',
        ),
        frames: count(
          600,
          'maximum number of frames of a clip, one per second. A frame takes 600 kB at 448 px. A long clip has two chunks of frames in memory',
        ),
        decode_ms: count(60_000, 'maximum time in ms for decoding a picture or clip'),
        connections: count(2048, 'maximum number of open connections'),
        address_connections: count(
          1024,
          'maximum number of open connections of one address (IPv6: of one /64 network)',
        ),
      },
      { ...closed, default: {}, description: 'limits on requests and their media' },
    ),
    request_ms: count(
      30_000,
      'maximum time in ms until a request is answered; later it gets status 504. A request can set a shorter time',
    ),
    step_ms: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
      default: null,
      description:
        'time in ms after which a worker without progress is killed and replaced; null: twice request_ms, or four times the duration of its largest batch',
    }),
    deterministic: Type.Boolean({
      default: false,
      description:
        'compute each frame and each prompt alone, so that a score has the same bytes in every batch and run; slower on a GPU',
    }),
    shutdown_ms: count(15_000, 'maximum time in ms from SIGTERM to the end of the process'),
    rate_per_minute: Type.Integer({
      minimum: 0,
      default: 6000,
      description: 'maximum number of requests per minute of one key, or of one address if no keys exist; 0: no limit',
    }),
    jobs: Type.Object(
      {
        concurrent: count(2, 'maximum number of jobs that run at a time'),
        in_flight: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
          default: null,
          description:
            'maximum number of items of a job that are decoded or waiting at a time; null: enough to keep every worker busy',
        }),
        keep_days: Type.Union([Type.Integer({ minimum: 1 }), Type.Null()], {
          default: null,
          description:
            'days after which a finished job is deleted with its list and results; null: never. A jump of the system clock counts as at most one day',
        }),
        attempts: count(5, 'maximum number of attempts for an item or shard whose worker is lost'),
        object_storage: Type.Array(Type.String({ pattern: '^s3://[^/*?{}]+/(.*/)?$' }), {
          default: [],
          description:
            'addresses that jobs over shards can read and write below, such as s3://bucket/data/; each ends with /. They are used with the credentials of the service',
        }),
      },
      { ...closed, default: {}, description: 'scoring jobs of /v1/jobs' },
    ),
    webhooks: Type.Object(
      {
        hosts: Type.Array(Type.String({ pattern: '^[^/@\\s]+$' }), {
          default: [],
          description: 'hosts that webhooks of jobs can be sent to; add the port if it is not 443',
        }),
        secret: Type.Union([Type.String(), Type.Null()], {
          default: null,
          description:
            'key that signs webhooks: whsec_ and 24 to 64 bytes in base64. Several keys, separated by spaces, give several signatures, so that a key can be rotated. To keep the key out of the file, set QALIGN_SERVE_WEBHOOKS__SECRET',
        }),
        allow_loopback: Type.Boolean({
          default: false,
          description:
            'allow webhooks to this machine, also over http; without it, only to public addresses over https',
        }),
      },
      { ...closed, default: {}, description: 'signed messages at the end of a job (Standard Webhooks)' },
    ),
    traces: Type.Object(
      {
        endpoint: Type.Union([Type.String({ pattern: '^https?://' }), Type.Null()], {
          default: null,
          description:
            'URL that receives the spans as OTLP/HTTP in JSON (http://collector:4318/v1/traces); null: no spans',
        }),
        headers: Type.Record(Type.String(), Type.String(), {
          default: {},
          description: 'headers of these requests, such as authorization',
        }),
      },
      {
        ...closed,
        default: {},
        description: 'OpenTelemetry: a span for each request and job, and for each stage of their items',
      },
    ),
    log_level: Type.Union([Type.Literal('debug'), Type.Literal('info'), Type.Literal('warn'), Type.Literal('error')], {
      default: 'info',
      description: 'lowest level of the log lines; debug includes every message of the bridge',
    }),
  },
  closed,
);
export type ServeConfig = Static<typeof ServeConfig>;
