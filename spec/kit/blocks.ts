import { textOf } from './sources.ts';

/** A piece of code in a document. */
export interface Block {
  /** Where it stands: file and line. */
  readonly at: string;
  readonly language: string;
  readonly code: string;
}

/** The fenced blocks of a Markdown file. */
export function blocksOf(path: string): Block[] {
  const text = textOf(path);
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(({ index, 1: language = '', 2: code = '' }) => {
    return { at: `${path}:${lineOf(text, index) + 1}`, language, code };
  });
}

/** The examples in the doc comments of a source file: what follows `@example`, and fenced blocks. */
export function examplesOf(path: string): Block[] {
  const text = textOf(path);
  return [...text.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap(({ index, 0: comment }) => {
    const prose = comment.slice(3, -2).replace(/^ *\* ?/gm, '');
    const examples = prose.matchAll(/^@example\n(?!```)([\s\S]*?)(?=^@|$(?![\s\S]))|^```ts\n([\s\S]*?)^```/gm);
    return [...examples].map(({ index: within, 1: plain, 2: fenced }) => {
      const line = lineOf(text, index) + lineOf(prose, within) + 1;
      return { at: `${path}:${line}`, language: 'ts', code: plain ?? fenced ?? '' };
    });
  });
}

/** What a program says that it prints: the comment after `// Output:` at its end; undefined if it says nothing. */
export function outputOf(code: string): string | undefined {
  const comment = /^\/\/ Output:\n((?:\/\/.*\n?)+)\s*$/m.exec(code)?.[1];
  return comment?.replace(/^\/\/ ?/gm, '').trim();
}

/** Whether a program printed what it said; `…` stands for anything within a line. */
export function isAsSaid(printed: string, said: string): boolean {
  const lines = said.split('\n').map((line) =>
    line
      .split('…')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('.*'),
  );
  return new RegExp(`^${lines.join('\n')}$`).test(printed.trim());
}

function lineOf(text: string, index: number): number {
  return text.slice(0, index).split('\n').length;
}
