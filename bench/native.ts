import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type Rival, Unavailable } from './scenario.ts';

const run = promisify(execFile);

/** The source stays in `bench/`; this file runs in `dist/bench/`. */
const SOURCE = fileURLToPath(new URL('../../bench/native.cpp', import.meta.url));

/** A rival in C++; `args` choose what `native.cpp` does, and what it prints is the figure. */
export function native(name: string, args: readonly string[]): Rival {
  let folder = '';
  return {
    name,
    async start() {
      folder = await mkdtemp(join(tmpdir(), 'ringfence-bench-'));
      await compile(join(folder, 'native'));
    },
    async round() {
      return Number((await run(join(folder, 'native'), args)).stdout);
    },
    async stop() {
      if (folder) await rm(folder, { recursive: true });
    },
  };
}

async function compile(program: string): Promise<void> {
  const { CXX } = process.env;
  const compilers = [CXX, 'c++', 'g++', 'clang++'].filter((name) => name !== undefined);
  for (const compiler of compilers) {
    try {
      await run(compiler, ['-O2', '-std=c++17', '-pthread', SOURCE, '-o', program]);
      return;
    } catch (error) {
      const { code, stderr } = error as { code?: unknown; stderr?: string };
      if (code !== 'ENOENT') throw new Unavailable(`${compiler} failed: ${stderr?.split('\n')[0] || code}`);
    }
  }
  throw new Unavailable(`no C++ compiler: none of ${compilers.join(', ')} is in the PATH`);
}
