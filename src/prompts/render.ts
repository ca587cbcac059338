import { countMarkers, IMAGE_MARKER, type Kind, type Task } from './subject.js';

/** A named prompt text with `{task}` (quality, aesthetics) and `{kind}` (image, video) left open. */
export interface PromptTemplate {
  readonly name: string;
  readonly text: string;
  /** The tasks and kinds it was published for; all when absent. */
  readonly tasks?: readonly Task[] | undefined;
  readonly kinds?: readonly Kind[] | undefined;
}

/** Fills a template in. The text is returned exactly; Python tokenises it and adds nothing. */
export function renderPrompt(template: PromptTemplate, task: Task, kind: Kind): string {
  return template.text.replaceAll('{task}', task).replaceAll('{kind}', kind);
}

export function allows(template: PromptTemplate, task: Task, kind: Kind): boolean {
  return (template.tasks?.includes(task) ?? true) && (template.kinds?.includes(kind) ?? true);
}

/** What is wrong with a template, one line each; empty when it can be used for scoring one image or one video. */
export function templateProblems(text: string): string[] {
  const problems: string[] = [];
  const markers = countMarkers(text);
  if (markers !== 1) problems.push(`the text must hold ${IMAGE_MARKER} exactly once, not ${markers} times`);
  const unknown = [...text.matchAll(/\{(\w*)\}/g)]
    .map((match) => match[1])
    .filter((name) => name !== 'task' && name !== 'kind');
  if (unknown.length > 0) problems.push(`unknown placeholders {${unknown.join('}, {')}}; there are {task} and {kind}`);
  if (/\s$/.test(text)) problems.push('the text must not end in white space: the next token is the level word');
  return problems;
}
