import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { chooseModel, requireFirstBackend, requirePrompt } from '../../src/config/models.js';
import { loadPrompt } from '../../src/config/prompts.js';
import { renderQuestion } from '../../src/prompts/render.js';

let folder: string;
const configOf = (type: string): Promise<void> =>
  writeFile(join(folder, 'config.json'), JSON.stringify({ model_type: type }));

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'qalign-models-'));
});
afterAll(() => rm(folder, { recursive: true }));

describe('chooseModel', () => {
  it('takes the backend, the chat and the prompt of a description, by its name or its hub id', async () => {
    const mini = await chooseModel({ model: 'q-realign-mini' });
    expect(mini).toMatchObject({
      backend: 'transformers',
      chat: { thinking: false },
      prompt: 'chat',
      licence: 'see the model page',
    });
    expect(mini.taught).toBeUndefined();
    expect(await chooseModel({ model: 'hf:q-future/Q-ReAlign-Mini-0.8B' })).toEqual({
      ...mini,
      id: 'hf:q-future/Q-ReAlign-Mini-0.8B',
    });
    const sit = await chooseModel({ model: 'q-sit' });
    expect(sit.chat?.level_tokens).toMatchObject({ mode: 'ids', ids: { excellent: [49655], bad: [17082] } });
    const first = await chooseModel({ model: 'nano' });
    expect([first.backend, first.chat, first.taught, first.prompt]).toEqual([
      undefined,
      undefined,
      undefined,
      'default',
    ]);
    expect((await chooseModel({ model: 'mplug-owl2' })).taught).toBe(false);
  });

  it('takes any hub id after hf:, which is not taught to rate', async () => {
    expect(await chooseModel({ model: 'hf:someone/their-vlm', revision: 'abc' })).toMatchObject({
      id: 'hf:someone/their-vlm',
      model: 'someone/their-vlm',
      revision: 'abc',
      backend: 'transformers',
      chat: { thinking: false },
      prompt: 'chat',
      taught: false,
      tasks: undefined,
    });
    expect((await chooseModel({ model: 'someone/their-vlm' })).backend).toBeUndefined();
  });

  it('knows a folder of a supported family by its config.json, with hf: or without', async () => {
    await configOf('qwen3_5');
    for (const model of [folder, `hf:${folder}`])
      expect(await chooseModel({ model })).toMatchObject({
        id: model,
        model: folder,
        backend: 'transformers',
        taught: false,
      });
    await configOf('mplug_owl2');
    expect((await chooseModel({ model: folder })).backend).toBeUndefined();
    await expect(chooseModel({ model: `hf:${folder}` })).rejects.toThrow(
      /model type mplug_owl2; the supported ones are qwen2_5_vl/,
    );
    await expect(chooseModel({ model: 'hf:nano' })).rejects.toThrow(/name it as --model nano/);
    await expect(chooseModel({ model: 'hf:nothing' })).rejects.toThrow(/neither a directory, nor a hub id/);
  });
});

describe('prompts of chat models', () => {
  it('has a message with the picture and the beginning of the answer', async () => {
    const chat = await loadPrompt('chat');
    expect(renderQuestion(chat, 'aesthetics', 'video')).toEqual({
      text: '<|image|>How would you rate the aesthetics of this video?',
      stem: 'The aesthetics of the video is',
    });
    const readme = await loadPrompt('q-realign-readme');
    expect(renderQuestion(readme, 'quality', 'image')).toEqual(renderQuestion(chat, 'quality', 'image'));
    const repo = await loadPrompt('q-realign-repo');
    expect(renderQuestion(repo, 'quality', 'image')).toEqual({
      text: '<|image|>Can you rate the quality of this picture?',
      stem: ' The quality of the image is',
    });
    expect(renderQuestion(repo, 'aesthetics', 'image')).toEqual({
      text: '<|image|>How is the aesthetics of this image?',
      stem: ' The aesthetics of the image is',
    });
    const sit = renderQuestion(await loadPrompt('q-sit'), 'quality', 'image');
    expect(sit).toMatchObject({
      stem: 'The quality of this image is ',
      text: expect.stringMatching(/image\?<\|image\|>$/) as string,
    });
  });

  it.each([
    ['question: "Rate it?"', /either "text", or "question" and "stem"/],
    ['text: "<|image|>It is"\nstem: "It is"', /either "text", or "question" and "stem"/],
    ['question: "<|image|><|image|>?"\nstem: "It is"', /exactly once, not 2 times/],
    [
      'question: "Rate the {taks}?"\nstem: "It is {knd}"',
      /unknown placeholders \{taks\}.*unknown placeholders \{knd\}/,
    ],
    ['question: "Rate it?"\nstem: "It is\\n"', /one space, but in no other white space/],
    ['question: "Rate it?"\nstem: "<|image|>It is"', /stem must not contain <\|image\|>/],
  ])('refuses %j', async (lines, message) => {
    const file = join(folder, 'own.yaml');
    await writeFile(file, `name: own\nabout: test\n${lines}\n`);
    await expect(loadPrompt(file)).rejects.toThrow(message);
  });

  it('fits only models of its backend', async () => {
    const [mini, nano] = [await chooseModel({ model: 'q-realign-mini' }), await chooseModel({ model: 'nano' })];
    const [chat, text] = [await loadPrompt('chat'), await loadPrompt('default')];
    requirePrompt(mini, chat);
    requirePrompt(nano, text);
    expect(() => requirePrompt(mini, text)).toThrow(/needs a question and a stem/);
    expect(() => requirePrompt(nano, chat)).toThrow(/needs a text, such as that of --prompt default/);
    expect(() => requireFirstBackend(mini, 'training')).toThrow(/training needs a model of mPLUG-Owl2/);
  });
});
