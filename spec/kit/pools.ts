import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Pool } from '../../lib/pool/pool.ts';

export type Tasks = typeof import('./tasks.ts');

/** The address of `tasks`, compiled. */
export const tasks: URL = new URL('./tasks.js', import.meta.url);

const open: Pool<Tasks>[] = [];

/** A pool of one thread over `tasks`, until `closePools`. */
export function newPool(options: ConstructorParameters<typeof Pool>[1] = {}): Pool<Tasks> {
  const pool = new Pool<Tasks>(tasks, { threads: 1, ...options });
  open.push(pool);
  return pool;
}

/** After each test, also after one that failed. */
export async function closePools(): Promise<void> {
  await Promise.all(open.splice(0).map((pool) => pool.close({ timeout: 0 })));
}

/** What `promise` rejects with. */
export function reasonOf(
  promise: Promise<unknown>,
): Promise<Error & { code?: string; cause?: Error & { code?: string } }> {
  return promise.then(
    (value) => Promise.reject(new Error(`expected a rejection, and it gave ${String(value)}`)),
    (reason) => reason,
  ) as Promise<never>;
}

const folder = mkdtempSync(join(tmpdir(), 'ringfence-'));
process.once('exit', () => rmSync(folder, { recursive: true }));

/** A module that the compiler would not let through. */
export function newModule(name: string, code: string): URL {
  const path = join(mkdtempSync(join(folder, 'module-')), name);
  writeFileSync(path, code);
  return pathToFileURL(path);
}

/** Runs a program of its own and waits until it has exited by itself. */
export function child(code: string): Promise<{ code: number; stdout: string; stderr: string }> {
  const imports = `import { Pool } from ${JSON.stringify(new URL('../../lib/pool/pool.js', import.meta.url))};
    const tasks = new URL(${JSON.stringify(tasks)});\n`;
  const program = fileURLToPath(newModule('program.mjs', imports + code));
  return new Promise((resolve) => {
    execFile(process.execPath, [program], { timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr }),
    );
  });
}
