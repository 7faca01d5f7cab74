import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { misuses, type Outcome } from './kit/misuse.ts';

const child = fileURLToPath(new URL('./kit/misuse.js', import.meta.url));
const HANGS = 10_000; // milliseconds

/** Runs one misuse in a process of its own. */
function inChild(name: string): Promise<Outcome> {
  return new Promise((resolve) => {
    execFile(process.execPath, [child, name], { timeout: HANGS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error?.killed) resolve({ error: 'none', message: `it hangs; it said ${stdout || 'nothing'}` });
      else if (error) resolve({ error: 'none', message: `it ended with code ${error.code}: ${stderr}` });
      else resolve(JSON.parse(stdout));
    });
  });
}

const waiting = [...misuses.keys()];
const outcomes = new Map<string, Outcome>();

async function runInTurn(): Promise<void> {
  for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) outcomes.set(name, await inChild(name));
}

const all = Promise.all(Array.from({ length: availableParallelism() }, runInTurn));

for (const [name, misuse] of misuses) {
  test(`${name}: ${misuse.code ?? misuse.error}`, async () => {
    await all;
    const { error, code, message } = outcomes.get(name) as Outcome;
    assert.is(`${error} ${code ?? ''}`.trim(), `${misuse.error} ${misuse.code ?? ''}`.trim(), message);
    assert.match(message, misuse.message);
  });
}

test.run();
