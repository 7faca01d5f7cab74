// What `npm start` runs: the three examples in turn. Exit code 0 only if each result is right.
import { spawnSync } from 'node:child_process';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const EXAMPLES = ['tickets', 'kitchen', 'cities'];
const TIME_LIMIT = 60_000; // ms for all of them

const start = performance.now();
const wrong = EXAMPLES.filter((name) => !isRight(name));
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`${EXAMPLES.length - wrong.length} of ${EXAMPLES.length} examples are right, in ${seconds} s`);
if (wrong.length > 0) {
  console.log(`wrong: ${wrong.join(', ')}`);
  process.exitCode = 1;
}

/** Runs one example in a process of its own, with this terminal, in what is left of the time. */
function isRight(name: string): boolean {
  const file = fileURLToPath(new URL(`./${name}.js`, import.meta.url));
  const timeout = Math.max(1, start + TIME_LIMIT - performance.now());
  const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit', timeout });
  console.log();
  return status === 0;
}
