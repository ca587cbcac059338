/** Characters that a terminal interprets: control characters, line separators and marks of text direction. */
// eslint-disable-next-line no-control-regex
const OBEYED = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;
// eslint-disable-next-line no-control-regex
const OBEYED_IN_TEXT = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g;

const escape = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** A name on one line. Characters that a terminal interprets are escaped as in JSON, such as `\u001b`. */
export function visible(name: string): string {
  return name.replace(OBEYED, escape);
}

/** Like `visible`, for text of several lines: line ends and tabs stay. */
export function visibleText(text: string): string {
  return text.replace(OBEYED_IN_TEXT, escape);
}
