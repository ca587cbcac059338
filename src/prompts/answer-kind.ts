/** How a model answered a request to rate something. */
export type AnswerKind = 'adjective' | 'number' | 'both' | 'neither';

/** Rating words: the five levels, and words that people and models use instead. */
const ADJECTIVES = [
  'excellent',
  'good',
  'fair',
  'poor',
  'bad',
  'great',
  'fine',
  'decent',
  'average',
  'mediocre',
  'terrible',
  'awful',
  'horrible',
  'perfect',
  'superb',
  'outstanding',
  'amazing',
  'wonderful',
  'beautiful',
  'nice',
  'acceptable',
  'moderate',
  'medium',
  'high',
  'low',
  'clear',
  'sharp',
  'blurry',
  'blurred',
  'grainy',
  'noisy',
  'dark',
  'ugly',
  'impressive',
  'satisfactory',
  'unsatisfactory',
  'better',
  'best',
  'worse',
  'worst',
];
const ADJECTIVE = new RegExp(`\\b(${ADJECTIVES.join('|')})\\b`, 'i');
/** 4, 3.5, 7/10, 80 %, four out of five. */
const NUMBER = /\d|\b(one|two|three|four|five|six|seven|eight|nine|ten) (out of|stars?)\b/i;

export function answerKind(text: string): AnswerKind {
  const [adjective, number] = [ADJECTIVE.test(text), NUMBER.test(text)];
  return adjective && number ? 'both' : adjective ? 'adjective' : number ? 'number' : 'neither';
}
