import Type, { type TSchema, type TObject } from 'typebox';

/** Every object on the wire is closed, so that a message with an unknown key is refused. */
export const closed = <P extends Record<string, TSchema>>(
  properties: P,
  options: { description?: string } = {},
): TObject<P> => Type.Object(properties, { ...options, additionalProperties: false });

export const Text = Type.String({ minLength: 1 });
export const Count = Type.Integer({ minimum: 0 });
export const Positive = Type.Integer({ minimum: 1 });
