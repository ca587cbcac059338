import { countMarkers, IMAGE_MARKER, type Kind, type Task } from './subject.js';

/** A named prompt text with the placeholders `{task}` (quality, aesthetics) and `{kind}` (image, video). */
export interface PromptTemplate {
  readonly name: string;
  /** The whole prompt, or the message of the user if there is a `stem`. */
  readonly text: string;
  /** Only for chat models: the beginning of the answer, which ends before the level word. */
  readonly stem?: string | undefined;
  /** Messages of tasks that `text` does not serve. */
  readonly texts?: Readonly<Partial<Record<Task, string>>> | undefined;
  /** The tasks and kinds that the prompt was published for; all if absent. */
  readonly tasks?: readonly Task[] | undefined;
  readonly kinds?: readonly Kind[] | undefined;
}

/** A message of the user and the beginning of the answer. Python puts both into the chat template of the model. */
export interface ChatText {
  readonly text: string;
  readonly stem: string;
}

/** Fills in the text of a template. Python tokenises it exactly as returned. */
export function renderPrompt(template: PromptTemplate, task: Task, kind: Kind): string {
  return filled(template.texts?.[task] ?? template.text, task, kind);
}

/** Fills in a template: one text, or the two texts of a chat model. */
export function renderQuestion(template: PromptTemplate, task: Task, kind: Kind): string | ChatText {
  const text = renderPrompt(template, task, kind);
  return template.stem === undefined ? text : { text, stem: filled(template.stem, task, kind) };
}

const filled = (text: string, task: Task, kind: Kind): string =>
  text.replaceAll('{task}', task).replaceAll('{kind}', kind);

export function allows(template: PromptTemplate, task: Task, kind: Kind): boolean {
  return (template.tasks?.includes(task) ?? true) && (template.kinds?.includes(kind) ?? true);
}

/** The problems of a template, one line each; empty if it can be used to score one image or one video. */
export function templateProblems(text: string): string[] {
  const problems: string[] = [];
  const markers = countMarkers(text);
  if (markers !== 1) problems.push(`the text must contain ${IMAGE_MARKER} exactly once, not ${markers} times`);
  problems.push(...placeholderProblems(text));
  if (/\s$/.test(text)) problems.push('the text must not end in white space, because the next token is the level word');
  return problems;
}

/** The problems of the stem of a chat prompt. It can end in a space: some models are asked for a word without one. */
export function stemProblems(stem: string): string[] {
  const problems = placeholderProblems(stem);
  if (countMarkers(stem) > 0) problems.push(`the stem must not contain ${IMAGE_MARKER}`);
  if (/[^\S ]$| {2}$/.test(stem)) problems.push('the stem can end in one space, but in no other white space');
  return problems;
}

function placeholderProblems(text: string): string[] {
  const unknown = [...text.matchAll(/\{(\w*)\}/g)]
    .map((match) => match[1])
    .filter((name) => name !== 'task' && name !== 'kind');
  return unknown.length > 0 ? [`unknown placeholders {${unknown.join('}, {')}}; use {task} and {kind}`] : [];
}
