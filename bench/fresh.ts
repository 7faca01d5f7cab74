import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { tied } from './children.ts';
import { type Rival, Unavailable } from './scenario.ts';

// What can be measured once a process only: each round of such a rival is a fresh Node that prints one figure.

const run = promisify(execFile);

/** What a fresh process is asked for; it returns the figure. */
export type Subject = () => number | Promise<number>;

/** A rival whose every round runs `subject` of the program `module` in a process of its own. */
export const inFresh = (name: string, module: string, subject: string): Rival => ({
  name,
  costly: true,
  elsewhere: true,
  start() {},
  async round() {
    try {
      const printed = run(process.execPath, ['--expose-gc', fileURLToPath(module), subject]);
      tied(printed.child);
      return Number((await printed).stdout);
    } catch (error) {
      const reason = /^\w*Error.*$/m.exec((error as { stderr?: string }).stderr ?? '');
      throw reason ? new Unavailable(reason[0]) : error;
    }
  },
  stop() {},
});

/** The child's side: where `module` is the program that runs, prints what the subject that it was asked for comes to, and ends. */
export async function serveFresh(module: string, subjects: Readonly<Record<string, Subject>>): Promise<void> {
  const [, program, name = ''] = process.argv;
  const subject = subjects[name];
  if (program !== fileURLToPath(module) || !subject) return;
  console.log(await subject());
  process.exit(); // threads that nobody has ended are of no interest any more
}
