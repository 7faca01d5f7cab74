import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { type Block, blocksOf, examplesOf, isAsSaid, outputOf } from './kit/blocks.ts';
import { filesIn, root, textOf } from './kit/sources.ts';

// Inside of the package, so that `import 'ringfence'` finds the package itself, as its users see it.
const folder = mkdtempSync(join(root, 'dist', 'docs-'));
test.after(() => rmSync(folder, { recursive: true }));

const pages = ['README.md', ...filesIn('docs', '.md')];
const blocks = pages.flatMap(blocksOf);

/** What fragments take for granted; what a fragment declares itself comes before it. */
const CONTEXT = `
  declare const url: URL;
  declare const paths: string[];
  declare const stock: Int32Array;
  declare const mutex: import('ringfence').Mutex;
  declare const queue: import('ringfence').Queue;
  declare const pool: import('ringfence').Pool;
  declare const workerData: import('ringfence').Shared<{
    queue: import('ringfence').Queue; mutex: import('ringfence').Mutex; limits: number[];
  }>;
  declare const Worker: typeof import('node:worker_threads').Worker;
`;
const WORK = 'export function hash(payload: unknown): number { return String(payload).length; }';

const OPTIONS = {
  target: 'es2023',
  lib: ['es2024', 'esnext.disposable'],
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
  module: 'nodenext',
  moduleDetection: 'force',
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: true,
  noEmit: true,
  pretty: false,
};

/** The messages of the compiler about the fragments, each with the place where the fragment stands. */
function complaintsAbout(fragments: readonly Block[]): string {
  const within = mkdtempSync(join(folder, 'types-'));
  const write = (name: string, text: string): void => writeFileSync(join(within, name), text);
  write('tsconfig.json', JSON.stringify({ compilerOptions: OPTIONS }));
  write('context.d.ts', CONTEXT);
  write('work.ts', WORK);
  fragments.forEach(({ code }, i) => {
    write(`${i}.ts`, withImports(code));
  });
  const compiler = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const { stdout, stderr, status } = spawnSync(process.execPath, [compiler, '-p', within], { cwd: within });
  const said = `${stdout}${stderr}`;
  assert.is(status === 0, said === '', `the compiler ended with ${status} and said: ${said}`);
  return said.replace(/^(\d+)\.ts/gm, (_, i) => `${fragments[Number(i)]?.at}: fragment`);
}

/** A fragment that imports nothing from the package may use all of it; on its first line, so that lines stay right. */
function withImports(code: string): string {
  if (/from 'ringfence'/.test(code)) return code;
  const names = textOf('lib/index.ts').match(/\b[A-Za-z]+(?=,| })/g) ?? [];
  const used = [...new Set(names)].filter((name) => new RegExp(`\\b${name}\\b`).test(code));
  return `import { ${used.join(', ')} } from 'ringfence';${code}`;
}

function checkOutput(file: string, said: string): void {
  const { stdout, stderr, status } = spawnSync(process.execPath, [file], { encoding: 'utf8', timeout: 60_000 });
  assert.is(status, 0, `${file} ended with ${status}: ${stderr}`);
  assert.ok(
    isAsSaid(stdout, said),
    `${file} printed
${stdout}
and says
${said}`,
  );
}

test('the TypeScript in the README and in docs compiles against the package', () => {
  assert.is(complaintsAbout(blocks.filter(({ language }) => language === 'ts')), '');
});

test('the examples in the doc comments of the library compile against the package', () => {
  const examples = filesIn('lib', '.ts').flatMap(examplesOf);
  assert.ok(examples.some(({ at }) => at.startsWith('lib/queue/queue.ts')));
  assert.is(complaintsAbout(examples), '');
});

test('the compiler complains about a name that the package does not have, at its place', () => {
  const wrong = { at: 'README.md:1', language: 'ts', code: "import { Mutexx } from 'ringfence';" };
  assert.match(complaintsAbout([wrong]), /README\.md:1: fragment\(1,10\): error TS2724/);
});

/** Blocks that begin with the name of a file, as `// main.mjs`: a reader saves them side by side. */
const programs = blocks.flatMap(({ code }) => {
  const name = /^\/\/ ([\w-]+\.mjs)\n/.exec(code)?.[1];
  return name === undefined ? [] : [{ path: join(folder, name), code, said: outputOf(code) }];
});

test('the programs of the README print what they say', () => {
  for (const { path, code } of programs) writeFileSync(path, code);
  assert.ok(programs.some(({ said }) => said !== undefined));
  for (const { path, said } of programs) if (said !== undefined) checkOutput(path, said);
});

test('what a program says is compared to the letter, but for the dots', () => {
  assert.is(isAsSaid('took 12 ms (all)\nend\n', 'took … ms (all)\nend'), true);
  assert.is(isAsSaid('took 12 s (all)\nend', 'took … ms (all)\nend'), false);
  assert.is(isAsSaid('took 12 ms (all)', 'took … ms (all)\nend'), false);
  assert.is(isAsSaid('one\ntwo', '…'), false, 'dots do not go over lines');
});

/** What a table of promises lacks: where a statement names no spec, or one that there is not. */
function unshown(page: string): string[] {
  const [, ...rows] = page.slice(page.indexOf('## What is promised')).match(/^\|.*\|$/gm) ?? [];
  return rows.slice(1).flatMap((row) => {
    const [what = '', ...cells] = row.split('|').slice(1, -1);
    return cells.flatMap((cell) => cell.split(';').flatMap(wrongIn)).map((wrong) => `${what.trim()}: ${wrong}`);
  });
}

/** A statement ends with its specs in brackets: a file, or a file and how some of its tests begin, each with `…` behind it. */
function wrongIn(statement: string): string[] {
  const named = /\(([^()]+)\)\s*$/.exec(statement)?.[1];
  if (named === undefined) return [`"${statement.trim()}" names no spec`];
  if (named === 'nothing to show') return [];
  const parts = [...named.matchAll(/`([\w-]+)`(?:: ((?:[^`…]+…(?:, )?)+))?/g)];
  if (parts.map(([part]) => part).join(', ') !== named) return [`"${named}" is no list of specs`];
  return parts.flatMap(([, file = '', names = '']) => {
    const specs = filesIn('spec', '.spec.ts');
    if (!specs.includes(`spec/${file}.spec.ts`)) return [`there is no spec/${file}.spec.ts`];
    const titles = [...textOf(`spec/${file}.spec.ts`).matchAll(/\btest\(\s*(['"`])(.*?)\1,/g)].map(
      ([, , title]) => title,
    );
    const beginnings = names.split('…').map((name) => name.replace(/^, /, ''));
    const missing = beginnings.filter((name) => name && !titles.some((title) => title?.startsWith(name)));
    return missing.map((name) => `no test of spec/${file}.spec.ts begins with "${name}"`);
  });
}

test('each statement in the table of promises names the specs that show it, and there are these', () => {
  const page = textOf('docs/beyond.md');
  assert.equal(unshown(page), []);
  const broken = (from: string, to: string): string => {
    assert.ok(page.includes(from), from);
    return unshown(page.replace(from, to)).join();
  };
  assert.is(broken('(`queue`, `explore`)', '(`queues`, `explore`)'), 'delivery: there is no spec/queues.spec.ts');
  assert.is(
    broken('clients killed at random…', 'clients killed at noon…'),
    'a taker dies: no test of spec/chaos.spec.ts begins with "clients killed at noon"',
  );
  assert.is(broken('exactly once (`queue`, `explore`)', 'exactly once'), 'delivery: "exactly once" names no spec');
  assert.match(broken('(`queue`, `explore`)', '(`queue` and `explore`)'), 'is no list of specs');
});

test.run();
