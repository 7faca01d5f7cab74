import { spawn } from 'node:child_process';

/** How a process ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a module's source in a process of its own, until it ends; one that hangs is killed and has no code. */
export function child(source: string, deadline = 30_000): Promise<Ended> {
  const process_ = spawn(process.execPath, ['--input-type=module', '--eval', source], { timeout: deadline });
  let [stdout, stderr] = ['', ''];
  process_.stdout.on('data', (data) => (stdout += data));
  process_.stderr.on('data', (data) => (stderr += data));
  return new Promise((resolve) => process_.on('close', (code) => resolve({ code, stdout, stderr })));
}
