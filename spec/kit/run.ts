// What `npm test` runs last: every spec in a process of its own. node dist/spec/kit/run.js [PATTERN]
// The pattern is a regular expression for the names of the files. The last line is `N passed, N failed`, in tests. Lines of a
// spec that begin with `total: ` are shown even if it passes.
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';

const DEADLINE = 240_000; // ms for a file; the longest, mutants, needs some 130 on two busy cores
const LONGEST = ['sync-schedules', 'mutants']; // they begin first, so that nobody waits for one of them alone
const AT_ONCE = Math.min(2, availableParallelism()); // specs start threads of their own
const ENDING = '.spec.js';
// Node detaches a terminated worker from its platform before V8 has ended the compilers that still work for it; one of them
// that starts a collection just then aborts the process (nodejs/node pull requests 30909 and 31853: no order is free of races).
// Seen once in some twenty thousand terminations. Without those compilers, the worker's own thread does their work.
const FLAGS = ['--no-concurrent-recompilation'];

const folder = fileURLToPath(new URL('..', import.meta.url));

interface Outcome {
  passed: number;
  failed: number;
  /** Why the file counts as failed, beyond its tests. */
  trouble: string | undefined;
  output: string;
  seconds: number;
}

const names = readdirSync(folder)
  .filter((file) => file.endsWith(ENDING))
  .map((file) => file.slice(0, -ENDING.length))
  .filter((name) => new RegExp(process.argv[2] ?? '').test(name))
  .sort();
if (names.length === 0) console.log(`no spec matches ${process.argv[2]}`);

const totals = { passed: 0, failed: names.length === 0 ? 1 : 0 };
const queue = [...new Set([...LONGEST.filter((name) => names.includes(name)), ...names])];
await Promise.all(Array.from({ length: AT_ONCE }, runInTurn));
process.exitCode = totals.failed > 0 ? 1 : 0;
console.log(`\n${totals.passed} passed, ${totals.failed} failed`);

async function runInTurn(): Promise<void> {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const outcome = await run(name);
    totals.passed += outcome.passed;
    totals.failed += outcome.failed;
    tell(name, outcome);
  }
}

/** Runs one file, and waits until its process is gone. */
function run(name: string): Promise<Outcome> {
  const start = performance.now();
  const command = [...FLAGS, `${folder}${name}${ENDING}`];
  const child = spawn(process.execPath, command, { stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  let late = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const timer = setTimeout(() => {
    late = true;
    child.kill('SIGKILL');
    // processes that the spec had started may hold the pipes open
    for (const stream of [child.stdout, child.stderr]) stream.destroy();
  }, DEADLINE);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      const end = late
        ? `it was killed after ${DEADLINE / 1000} s`
        : code === 0
          ? ''
          : `it ended with ${signal ?? `exit code ${code}`}`;
      resolve({ ...judge(output, end), output, seconds: (performance.now() - start) / 1000 });
    });
  });
}

/** What the last lines of uvu say, and how the process ended (nothing if well), make of a file. */
function judge(output: string, end: string): Pick<Outcome, 'passed' | 'failed' | 'trouble'> {
  const summary = /^ {2}Total: +(\d+)\n {2}Passed: +(\d+)\n/m.exec(output);
  if (!summary) return { passed: 0, failed: 1, trouble: end || 'it ended before its last test did' };
  const [total, passed] = [Number(summary[1]), Number(summary[2])];
  const failed = total - passed;
  if (failed > 0) return { passed, failed, trouble: undefined };
  const trouble = end || (total === 0 ? 'it has no tests' : '');
  return { passed, failed: trouble ? 1 : 0, trouble: trouble || undefined };
}

function tell(name: string, { passed, failed, trouble, output, seconds }: Outcome): void {
  const time = `${seconds.toFixed(1)} s`.padStart(8);
  console.log(`${failed > 0 ? 'FAILED' : '    ok'}  ${name.padEnd(16)}${String(passed).padStart(4)} passed${time}`);
  for (const [, figures] of output.matchAll(/^total: (.+)$/gm)) console.log(`        ${figures}`);
  if (failed === 0) return;
  console.log(`\n${plain(output).trimEnd()}\n`);
  if (trouble) console.log(`  ${name}: ${trouble}\n`);
}

/** uvu's marks, for those who read this in a file. */
function plain(output: string): string {
  return process.stdout.isTTY ? output : output.replaceAll('• ', '. ').replaceAll('✘ ', 'x ');
}
