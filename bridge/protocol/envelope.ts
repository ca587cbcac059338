import Type, { type Static } from 'typebox';
import { ERROR_CODES, type ErrorCode } from './errors.js';
import { DeviceMemory } from './memory.js';
import { closed, Count, Positive, Text } from './shapes.js';

/** Increased when a message changes its meaning. A worker and a Node of different versions refuse each other. */
export const PROTOCOL_VERSION = 3;

export const WireError = closed({ code: Type.Enum(Object.keys(ERROR_CODES) as ErrorCode[]), message: Text });
export type WireError = Static<typeof WireError>;

/**
 * Worker → Node, the first message. `token` was passed to the worker at its start, so other processes do not know it.
 */
export const Hello = closed({
  type: Type.Literal('hello'),
  protocol: Count,
  version: Text,
  pid: Positive,
  host: Text,
  device: Text,
  token: Text,
  capabilities: Type.Array(Text),
});
/** Node → worker: the hello was accepted. */
export const Welcome = closed({ type: Type.Literal('welcome'), protocol: Count });
/** Worker → Node: send up to `credits` requests. */
export const Ready = closed({ type: Type.Literal('ready'), credits: Positive });
/** Worker → Node: `credits` more requests can be sent. */
export const Credit = closed({ type: Type.Literal('credit'), credits: Positive });
export const Ping = closed({ type: Type.Literal('ping'), seq: Count });
/**
 * `step_age_ms`: time since the last step of the compute thread, null while it is idle. `device_memory`: of a GPU,
 * measured at the end of the last request.
 */
export const Pong = closed({
  type: Type.Literal('pong'),
  seq: Count,
  step_age_ms: Type.Union([Type.Number({ minimum: 0 }), Type.Null()]),
  rss_bytes: Count,
  device_memory: Type.Optional(DeviceMemory),
});
/** Node → worker: stop request `id` at its next step. The request fails with CANCELLED. */
export const Cancel = closed({ type: Type.Literal('cancel'), id: Text });
/** Node → worker: finish the received requests, then send bye. */
export const Drain = closed({ type: Type.Literal('drain') });
/** The last message of either side: refused (with a reason) or done. */
export const Bye = closed({ type: Type.Literal('bye'), error: Type.Optional(WireError) });
/** A log line of the worker. Node logs it at the same level. */
export const Log = closed({
  type: Type.Literal('log'),
  level: Type.Enum(['debug', 'info', 'warn', 'error']),
  message: Type.String(),
  fields: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()])),
});

/** Node → worker. `params` must match the schema of the method, and the buffers their declaration in `params`. */
export const Request = closed({
  id: Text,
  method: Text,
  params: Type.Object({}, { additionalProperties: true }),
  traceparent: Type.Optional(Text),
});
export const Progress = closed({ id: Text, progress: Type.Object({}, { additionalProperties: true }) });
export const Result = closed({ id: Text, result: Type.Object({}, { additionalProperties: true }) });
export const Failure = closed({ id: Text, error: WireError });

export const CONTROL = {
  hello: Hello,
  welcome: Welcome,
  ready: Ready,
  credit: Credit,
  ping: Ping,
  pong: Pong,
  cancel: Cancel,
  drain: Drain,
  bye: Bye,
  log: Log,
} as const;
export const ENVELOPES = { request: Request, progress: Progress, result: Result, failure: Failure } as const;

export type Control = { [K in keyof typeof CONTROL]: Static<(typeof CONTROL)[K]> }[keyof typeof CONTROL];
