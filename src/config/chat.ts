import Type from 'typebox';

const closed = { additionalProperties: false } as const;
const count = (description: string) => Type.Optional(Type.Integer({ minimum: 1, description }));
const mode = <M extends string>(name: M, description: string) => Type.Literal(name, { description });

/** `chat` of `configs/models/<name>.yaml`, for models of transformers. Python gets it without `clip`. */
export const ChatSchema = Type.Object(
  {
    system: Type.Optional(Type.String({ minLength: 1, description: 'message of the system (default: none)' })),
    thinking: Type.Optional(
      Type.Union([mode('default', 'what the chat template writes without this option'), Type.Literal(false)], {
        default: false,
        description:
          'thoughts before the answer. false: the chat template gets enable_thinking false. Scores with another value differ',
      }),
    ),
    pixels: Type.Optional(
      Type.Object(
        {
          min: count('smallest number of pixels of a resized picture; smaller ones are enlarged'),
          max: count('largest number of pixels of a resized picture'),
        },
        { ...closed, description: 'bounds that replace those of the processor; scores with other bounds differ' },
      ),
    ),
    clip: Type.Optional(
      Type.Object(
        { long_side: count('frames with a longer side are reduced to it, in pixels, before the model resizes them') },
        { ...closed, description: 'frames of clips; scores with another size differ (default: as decoded)' },
      ),
    ),
    level_tokens: Type.Optional(
      Type.Union(
        [
          Type.Object({ mode: mode('alone', 'the first token of the word without a space') }, closed),
          Type.Object(
            {
              mode: mode('ids', 'the token ids in ids'),
              ids: Type.Record(Type.String(), Type.Array(Type.Integer({ minimum: 0 }), { minItems: 1 }), {
                description: 'token ids of each level word',
              }),
            },
            closed,
          ),
          Type.Object(
            { mode: mode('sequence', 'all tokens of the word, by the sum of their log-probabilities') },
            closed,
          ),
        ],
        {
          description:
            'tokens of the level words (default: the token after the stem and a space, if there is only one)',
        },
      ),
    ),
  },
  { ...closed, description: 'how a model of transformers is asked' },
);
