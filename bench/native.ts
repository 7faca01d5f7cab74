import { type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { asLeader, tied } from './children.ts';
import { CACHE } from './node-versions.ts';
import { type Effort, type Rival, Unavailable } from './scenario.ts';

const run = promisify(execFile);

/** The sources stay in `bench/`; this file runs in `dist/bench/`. */
const source = (name: string): string => fileURLToPath(new URL(`../../bench/${name}`, import.meta.url));

/** What chooses the mode of a program in another language; a function may ask how long a round is. */
type Arguments = readonly string[] | ((effort: Effort) => readonly string[]);

/** Runs one round: what the program prints is its figure, and behind that the single measurements, if it has any. */
type Ask = (args: readonly string[]) => Promise<string>;

/** A rival that is another program. */
function program(name: string, prepare: () => Promise<Ask>, args: Arguments): Rival {
  let round = (): Promise<string> => Promise.reject(new Error(`${name} has not been started`));
  const all: number[] = [];
  return {
    name,
    elsewhere: true,
    async start(effort) {
      const [ask, mode] = [await prepare(), typeof args === 'function' ? args(effort) : args];
      round = () => ask(mode);
    },
    async round() {
      const [figure = Number.NaN, ...single] = (await round()).trim().split(' ').map(Number);
      all.push(...single);
      return figure;
    },
    stop() {},
    samples: () => all,
  };
}

/** A rival in C++, all of them in one process, since a fork between rounds would make the memory of this one fault anew; `args` choose what `native.cpp` does. */
export function native(name: string, args: Arguments): Rival {
  return program(name, compiled, args);
}

/** A rival in Python, all of them in one process, as it takes long to start; `args` choose what `native.py` does. */
export function python(name: string, args: Arguments): Rival {
  return program(name, interpreter, args);
}

/** A rival in any other language: a program of its own that is given modes in lines, and answers, as `native.py` is and does. */
export function spoken(name: string, [command, ...more]: readonly [string, ...string[]], args: Arguments): Rival {
  const prepare = () =>
    serving(command, more).catch((error) => {
      throw new Unavailable(`${command} is not there: ${error.message}`);
    });
  return program(name, prepare, args);
}

let binary: Promise<Ask> | undefined;

/** Compiled once, whatever the number of rivals. */
function compiled(): Promise<Ask> {
  binary ??= compile().then((file) => serving(file, []));
  return binary;
}

const FLAGS = ['-O2', '-std=c++17', '-pthread'];

/** The path of the program, which is kept by the contents of its source and the version of its compiler. */
async function compile(): Promise<string> {
  const { CXX } = process.env;
  const compilers = [CXX, 'c++', 'g++', 'clang++'].filter((name) => name !== undefined);
  for (const compiler of compilers) {
    try {
      const { stdout: version } = await run(compiler, ['--version']);
      const hash = createHash('sha256')
        .update(version)
        .update(FLAGS.join())
        .update(readFileSync(source('native.cpp')));
      const file = join(CACHE, 'native', hash.digest('hex').slice(0, 16));
      if (existsSync(file)) return file;
      mkdirSync(join(CACHE, 'native'), { recursive: true });
      await run(compiler, [...FLAGS, source('native.cpp'), '-o', `${file}.${process.pid}`]);
      renameSync(`${file}.${process.pid}`, file);
      return file;
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string };
      if (code !== 'ENOENT') throw new Unavailable(`${compiler} failed: ${stderr?.split('\n')[0] || code}`);
    }
  }
  throw new Unavailable(`no C++ compiler: none of ${compilers.join(', ')} is in the PATH`);
}

let served: Promise<Ask> | undefined;

function interpreter(): Promise<Ask> {
  served ??= serving('python3', [source('native.py')]).catch((error) => {
    throw new Unavailable(`python3 with multiprocessing is not there: ${error.message}`);
  });
  return served;
}

/** A program that is given a mode in a line and answers with a line; it ends when this process does. */
async function serving(command: string, args: readonly string[]): Promise<Ask> {
  const child = tied(spawn(command, args, { ...asLeader, stdio: ['pipe', 'pipe', 'ignore'] }), asLeader);
  const lines = createInterface({ input: child.stdout });
  const ask: Ask = async (mode) => {
    child.stdin.write(`${mode.join('\t')}\n`);
    return answer(child, lines);
  };
  await ask(['ready']);
  return ask;
}

type Program = ChildProcessByStdio<Writable, Readable, null>;

/** The next line. While one is waited for the child keeps this process alive, and otherwise not. */
async function answer(child: Program, lines: Interface): Promise<string> {
  hold(child, 'ref');
  const given = new AbortController();
  const { signal } = given;
  const gone = Promise.race([once(child, 'exit', { signal }), once(child, 'error', { signal })]);
  try {
    const [line] = await Promise.race([once(lines, 'line', { signal }), gone.then(ended)]);
    return String(line);
  } finally {
    given.abort();
    gone.catch(() => {}); // it was aborted: there is an answer
    hold(child, 'unref');
  }
}

function ended([reason]: unknown[]): never {
  throw reason instanceof Error ? reason : new Error(`it ended with exit code ${reason}`);
}

function hold(child: Program, how: 'ref' | 'unref'): void {
  child[how]();
  for (const pipe of [child.stdin, child.stdout] as unknown as { ref(): void; unref(): void }[]) pipe[how]();
}
