import { Type } from 'typebox';
import { describe, expect, it } from 'vitest';
import { envelopeName, problemWith, problemWithMessage, requireMessage } from '../../bridge/validate.js';

describe('envelopeName', () => {
  it.each([
    [{ type: 'hello' }, 'hello'],
    [{ id: '1', method: 'score', params: {} }, 'request'],
    [{ id: '1', progress: {} }, 'progress'],
    [{ id: '1', result: {} }, 'result'],
    [{ id: '1', error: {} }, 'failure'],
    [{ type: 7, method: 'score' }, undefined],
    [{ id: '1' }, undefined],
    [null, undefined],
    ['hello', undefined],
  ])('of %j is %s', (value, name) => {
    expect(envelopeName(value)).toBe(name);
  });
});

describe('problemWithMessage', () => {
  it('names the position and the reason', () => {
    expect(problemWithMessage('credit', { type: 'credit', credits: 0 })).toMatch(/^\/credits: must be >= 1/);
    expect(problemWithMessage('drain', { type: 'drain', now: true })).toContain('additionalProperty "now"');
  });

  it('names the values that a union allows', () => {
    const schema = Type.Object({ a: Type.Union([Type.Literal('auto'), Type.Integer({ minimum: 1 }), Type.Null()]) });
    expect(problemWith(schema, { a: 0 })).toBe('/a: must be one of auto, an integer >= 1, null');
    expect(problemWith(schema, { a: 1 })).toBeUndefined();
  });

  it('does not accept names of Object.prototype as messages', () => {
    expect(problemWithMessage('toString', {})).toBe('the message "toString" does not exist');
  });

  it('is thrown with the code of the caller', () => {
    expect(() => requireMessage('ready', { type: 'ready' })).toThrow(
      expect.objectContaining({ code: 'PROTOCOL_VIOLATION' }),
    );
    expect(() => requireMessage('score_params', {}, 'INVALID_REQUEST')).toThrow(
      expect.objectContaining({ code: 'INVALID_REQUEST', message: expect.stringContaining('score_params') as string }),
    );
    expect(() => requireMessage('ready', { type: 'ready', credits: 2 })).not.toThrow();
  });
});
