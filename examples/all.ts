// What `npm start` runs: the examples in turn, or those that are named, as in `npm start -- kitchen`.
// Exit code 0 only if each of them found its result right.
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { examples as all } from './list.ts';

const TIME_LIMIT = 60_000; // ms for all of them together

const named = process.argv.slice(2);
const examples = named.length > 0 ? named : all;
const start = performance.now();
const wrong = examples.filter((name) => !isRight(name));
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${examples.length - wrong.length} of ${examples.length} examples are right, after ${seconds} s`);
if (wrong.length > 0) {
  console.log(`not right: ${wrong.join(', ')}`);
  process.exitCode = 1;
}

/** Runs an example in a process of its own, on this terminal, within what is left of the time. */
function isRight(name: string): boolean {
  const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const timeout = Math.max(1, Math.round(start + TIME_LIMIT - performance.now()));
  const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit', timeout });
  console.log();
  return status === 0;
}
