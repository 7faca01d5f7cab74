import { join, posix } from 'node:path';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { filesIn, root, textOf, withoutComments } from './kit/sources.ts';

/** The lines of the README's reading order: a number, a file, and what it is. */
function readingOrder(): { file: string; about: string }[] {
  const [, section = ''] = textOf('README.md').split(/^## Reading order$/m);
  const [list = ''] = section.split(/^## /m);
  return [...list.matchAll(/^\d+\. `(lib\/[^`]+)`(.*)$/gm)].map(([, file = '', about = '']) => ({ file, about }));
}

const files = filesIn('lib', '.ts');
const order = readingOrder();
const places = new Map(order.map(({ file }, place) => [file, place]));

/** Files of lib/ that a file imports, for their types alone too. */
function importsOf(file: string): string[] {
  const code = withoutComments(textOf(file));
  const specifiers = [...code.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(
    ([, specifier = '']) => specifier,
  );
  return specifiers.map((specifier) => {
    const path = posix.join(posix.dirname(file), specifier);
    return path.endsWith('.ts') ? path : `${path}.ts`; // AssemblyScript writes them without
  });
}

test('the reading order of the README names every file of lib, and no other', () => {
  assert.ok(files.length > 0, join(root, 'lib'));
  const named = order.map(({ file }) => file);
  assert.equal([...named].sort(), files);
});

test('the reading order says of each file what it is', () => {
  for (const { file, about } of order) assert.match(about, /\w{3}/, file);
});

test('a file imports only files that stand above it in the reading order', () => {
  const wrong = files.flatMap((file) =>
    importsOf(file)
      .filter((path) => !((places.get(path) ?? Number.POSITIVE_INFINITY) < (places.get(file) ?? 0)))
      .map((path) => `${file} imports ${path}`),
  );
  assert.equal(wrong, []);
});

test('the imports are found in every way they are written', () => {
  assert.ok(importsOf('lib/kernel/ring.ts').includes('lib/kernel/layout.ts'), 'AssemblyScript, over many lines');
  assert.ok(importsOf('lib/pool/worker.ts').includes('lib/queue/queue.ts'), 'for the effect alone');
  assert.ok(importsOf('lib/index.ts').includes('lib/pool/pool.ts'), 'passed on');
});

test('the entries of the package are the only barrels', () => {
  const barrels = files.filter((file) =>
    /^export\s+(?:type\s+)?[{*][^;]*\sfrom\s/m.test(withoutComments(textOf(file))),
  );
  const entries = Object.values(JSON.parse(textOf('package.json')).exports).flatMap((entry) =>
    typeof entry === 'object' && entry !== null && 'types' in entry ? [String(entry.types)] : [],
  );
  const sources = entries.map((entry) => entry.replace('./dist/', '').replace('.d.ts', '.ts'));
  assert.ok(sources.includes('lib/index.ts'));
  assert.equal(
    barrels.filter((file) => !sources.includes(file)),
    [],
  );
});

test('the README links every page of docs', () => {
  const readme = textOf('README.md');
  for (const page of filesIn('docs', '.md')) assert.ok(readme.includes(`](${page})`), page);
});

test.run();
