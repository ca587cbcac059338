import { countMarkers, IMAGE_MARKER, type Kind, type Task } from './subject.js';

/** A named prompt text with the placeholders `{task}` (quality, aesthetics) and `{kind}` (image, video). */
export interface PromptTemplate {
  readonly name: string;
  readonly text: string;
  /** The tasks and kinds that the prompt was published for; all if absent. */
  readonly tasks?: readonly Task[] | undefined;
  readonly kinds?: readonly Kind[] | undefined;
}

/** Fills in a template. Python tokenises the text exactly as returned. */
export function renderPrompt(template: PromptTemplate, task: Task, kind: Kind): string {
  return template.text.replaceAll('{task}', task).replaceAll('{kind}', kind);
}

export function allows(template: PromptTemplate, task: Task, kind: Kind): boolean {
  return (template.tasks?.includes(task) ?? true) && (template.kinds?.includes(kind) ?? true);
}

/** The problems of a template, one line each; empty if it can be used to score one image or one video. */
export function templateProblems(text: string): string[] {
  const problems: string[] = [];
  const markers = countMarkers(text);
  if (markers !== 1) problems.push(`the text must contain ${IMAGE_MARKER} exactly once, not ${markers} times`);
  const unknown = [...text.matchAll(/\{(\w*)\}/g)]
    .map((match) => match[1])
    .filter((name) => name !== 'task' && name !== 'kind');
  if (unknown.length > 0) problems.push(`unknown placeholders {${unknown.join('}, {')}}; use {task} and {kind}`);
  if (/\s$/.test(text)) problems.push('the text must not end in white space, because the next token is the level word');
  return problems;
}
