import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Effort, type Rival, Unavailable } from './scenario.ts';

const run = promisify(execFile);

/** The sources stay in `bench/`; this file runs in `dist/bench/`. */
const source = (name: string): string => fileURLToPath(new URL(`../../bench/${name}`, import.meta.url));

/** What chooses the mode of a program in another language; a function may ask how long a round is. */
type Arguments = readonly string[] | ((effort: Effort) => readonly string[]);

/** A rival that is another program: its every round is a fresh process, and what that prints is the figure. */
function program(name: string, prepare: () => Promise<readonly string[]>, args: Arguments): Rival {
  let command: readonly string[] = [];
  return {
    name,
    elsewhere: true,
    async start(effort) {
      command = [...(await prepare()), ...(typeof args === 'function' ? args(effort) : args)];
    },
    async round() {
      const [file = '', ...rest] = command;
      return Number((await run(file, rest)).stdout);
    },
    stop() {},
  };
}

/** A rival in C++; `args` choose what `native.cpp` does. */
export function native(name: string, args: Arguments): Rival {
  return program(name, compiled, args);
}

/** A rival in Python; `args` choose what `native.py` does. */
export function python(name: string, args: Arguments): Rival {
  return program(name, interpreter, args);
}

let binary: Promise<readonly string[]> | undefined;

/** Compiled once, whatever the number of rivals. */
function compiled(): Promise<readonly string[]> {
  binary ??= compile();
  return binary;
}

async function compile(): Promise<readonly string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'ringfence-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true }));
  const { CXX } = process.env;
  const compilers = [CXX, 'c++', 'g++', 'clang++'].filter((name) => name !== undefined);
  for (const compiler of compilers) {
    try {
      await run(compiler, ['-O2', '-std=c++17', '-pthread', source('native.cpp'), '-o', join(folder, 'native')]);
      return [join(folder, 'native')];
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string };
      if (code !== 'ENOENT') throw new Unavailable(`${compiler} failed: ${stderr?.split('\n')[0] || code}`);
    }
  }
  throw new Unavailable(`no C++ compiler: none of ${compilers.join(', ')} is in the PATH`);
}

async function interpreter(): Promise<readonly string[]> {
  try {
    await run('python3', ['-c', 'import multiprocessing.synchronize']);
  } catch (error) {
    throw new Unavailable(`python3 with multiprocessing is not there: ${(error as Error).message.split('\n')[0]}`);
  }
  return ['python3', source('native.py')];
}
