import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';

// What a run must not leave behind, however it ends: by itself, by an error, or by Ctrl-C.

const children = new Set<ChildProcess>();
const leaders = new WeakSet<ChildProcess>();
const folders = new Set<string>();

/** Of `spawn`: the child leads a group of its own, with all that it starts itself, and {@link tied} ends all of that. */
export const asLeader: { readonly detached: boolean } = { detached: process.platform !== 'win32' };

/** `child`, which is killed when this process ends. */
export function tied<T extends ChildProcess>(child: T, leader?: typeof asLeader): T {
  children.add(child);
  if (leader?.detached) leaders.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** A new folder, which is gone when this process is. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(os.tmpdir(), 'ringfence-bench-'));
  folders.add(folder);
  return folder;
}

process.once('exit', () => {
  for (const child of children) kill(child);
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

function kill(child: ChildProcess): void {
  if (!leaders.has(child) || child.pid === undefined) return void child.kill('SIGKILL');
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // it ended just now
  }
}

/** Lets Ctrl-C, and whoever else asks this process to end, end what is tied to it as well. */
export function endOnSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => process.exit(128 + os.constants.signals[signal]));
  }
}
