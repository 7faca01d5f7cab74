// The checksums of a directory tree, in several threads, and printed in the order of the names.
import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join, relative } from 'node:path';
import process from 'node:process';
import { pipeline, type WorkerModule } from '../lib/index.ts';
import { type Sum, sum } from './hash.worker.ts';

const work = new URL('./hash.worker.js', import.meta.url) as WorkerModule<typeof import('./hash.worker.ts')>;
const root = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
const threads = Math.max(2, availableParallelism());

console.log('hash: the SHA-256 of each file of a tree, by several threads, in order\n');
const lines: string[] = [];
let bytes = 0;
const line = pipeline(files(root)).map(work, 'sum', { threads });
for await (const one of line) {
  lines.push(textOf(one));
  bytes += one.bytes;
}
const alone: string[] = [];
for await (const path of files(root)) alone.push(textOf(sum(path)));

const mebibytes = (bytes / 2 ** 20).toFixed(1);
const seconds = line.stats().seconds.toFixed(2);
console.log(`  ${lines.length} files, ${mebibytes} MiB, in ${threads} threads and ${seconds} s`);
console.log(`  the first   ${lines[0]}`);
console.log(`  the tree    ${createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 16)}`);
const same = alone.join('\n') === lines.join('\n');
console.log(same ? '  one thread gave the same list' : '  the two lists DIFFER');
process.exitCode = same ? 0 : 1;

/** The files of a tree, by name, as they are found. */
async function* files(folder: string): AsyncGenerator<string> {
  const entries = await readdir(folder, { withFileTypes: true });
  entries.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* files(path);
    else if (entry.isFile()) yield path;
  }
}

function textOf({ path, sha256 }: Sum): string {
  return `${sha256.slice(0, 16)} ${relative(root, path)}`;
}

// Output:
// hash: the SHA-256 of each file of a tree, by several threads, in order
//
//   … files, … MiB, in … threads and … s
//   the first   … LICENSE…
//   the tree    …
//   one thread gave the same list
