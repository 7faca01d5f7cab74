import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { resultsOf, row, scenarioOf } from './kit/measured.ts';
import { until } from './kit/until.ts';

// The command of the benchmarks where it measures nothing, and what a run leaves behind when it is told to end.

const command = fileURLToPath(new URL('../bench/run.js', import.meta.url));
const within = mkdtempSync(join(tmpdir(), 'ringfence-spec-'));
test.after(() => rmSync(within, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(within, name);
  writeFileSync(path, content);
  return path;
}

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function run(...args: string[]): Promise<Ended> {
  const child = spawn(process.execPath, args);
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, stdout, stderr })));
}

const mutexAlone = resultsOf([scenarioOf([row('ringfence Mutex', [1])])]);
const whole = JSON.stringify(mutexAlone);

const MISUSES: Record<string, [args: () => string[], said: RegExp]> = {
  'an option that is none': [() => ['--quik'], /Unknown option '--quik'[\s\S]*--quick /],
  'a pattern that no target is about': [() => ['^latency', '--check'], /--check has nothing to check.*\^latency/],
  'a file that is not there': [() => ['--from', join(within, 'none')], /none cannot be read as results: ENOENT/],
  'a file that ends too early': [() => ['--from', file('cut', whole.slice(0, -9))], /cut cannot be read as results/],
  'a file that has no such scenario': [
    () => ['--from', file('whole', whole), '--only', 'queue'],
    /no scenario matches \/queue\/i/,
  ],
};

test('what cannot be is refused before anything is measured: in words, with exit code 1, and nothing on stdout', async () => {
  const cases = Object.entries(MISUSES);
  const ended = await Promise.all(cases.map(([, [args]]) => run(command, ...args())));
  for (const [at, { code, stdout, stderr }] of ended.entries()) {
    const [what, [, said]] = cases[at] as (typeof cases)[number];
    assert.match(stderr, said, what);
    assert.not.match(stderr, /^ +at |measuring/m, `${what}: a stack, or a scenario that was begun`);
    assert.equal([code, stdout], [1, ''], what);
  }
});

/** A run with a folder, and a child that has a child of its own: all three hold the same stdout. It says where the folder is. */
const RUN = `
  import { spawn } from 'node:child_process';
  import { asLeader, endOnSignals, temporaryFolder, tied } from ${JSON.stringify(new URL('../bench/children.js', import.meta.url).href)};
  endOnSignals();
  const stdio = ['ignore', 'inherit', 'ignore', 'ipc'];
  const forever = 'setInterval(() => {}, 1e6);';
  const source = \`
    \${forever}
    const child = require('node:child_process').spawn(process.execPath, ['-e', "process.send('here');" + \${JSON.stringify(forever)}], \${JSON.stringify({ stdio })});
    child.once('message', () => process.send('here'));
  \`;
  const folder = temporaryFolder();
  tied(spawn(process.execPath, ['-e', source], { ...asLeader, stdio }), asLeader).once('message', () => console.log(folder));
`;

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const) {
  test(`a run that gets ${signal} leaves no folder and no program behind, nor what that has started`, async () => {
    const ran = spawn(process.execPath, ['--input-type=module', '--eval', RUN], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const exit = new Promise<number | null>((resolve) => ran.once('exit', resolve));
    let closed = false; // by all three
    ran.once('close', () => {
      closed = true;
    });
    const folder = await new Promise<string>((resolve) =>
      ran.stdout.once('data', (data) => resolve(String(data).trim())),
    );
    assert.ok(existsSync(folder), folder);
    ran.kill(signal);
    assert.is(await exit, code);
    assert.not.ok(existsSync(folder));
    await until(() => closed, 'the end of the child and of what it started');
  });
}

test.run();
