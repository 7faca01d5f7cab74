import { execFile } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { test } from 'uvu';
import * as assert from 'uvu/assert';
import { misuses, type Outcome } from './kit/misuse.ts';

const child = fileURLToPath(new URL('./kit/misuse.js', import.meta.url));
const HANGS = 10_000; // milliseconds for a process
const EACH = 2_000; // and for each of them
const TOGETHER = 12; // misuses in one process

/** Runs misuses one after another in a process of their own; when that does not end well, each in one of its own, to see whose fault it is. */
async function inChild(names: readonly string[]): Promise<Outcome[]> {
  const said = await new Promise<Outcome[] | string>((resolve) => {
    const options = { timeout: HANGS + EACH * names.length, killSignal: 'SIGKILL' } as const;
    execFile(process.execPath, [child, ...names], options, (error, stdout, stderr) => {
      if (error?.killed) resolve(`it hangs; it said ${stdout || 'nothing'}`);
      else if (error) resolve(`it ended with code ${error.code}: ${stderr}`);
      else
        resolve(
          stdout
            .trim()
            .split('\n')
            .map((line) => JSON.parse(line)),
        );
    });
  });
  if (typeof said !== 'string') return said;
  if (names.length === 1) return [{ error: 'none', message: said }];
  const alone: Outcome[] = [];
  for (const name of names) alone.push(...(await inChild([name])));
  return alone;
}

const waiting = [...misuses.keys()];
const outcomes = new Map<string, Outcome>();

async function runInTurn(): Promise<void> {
  for (let names = waiting.splice(0, TOGETHER); names.length > 0; names = waiting.splice(0, TOGETHER)) {
    const all = await inChild(names);
    for (const [i, name] of names.entries()) outcomes.set(name, all[i] as Outcome);
  }
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
