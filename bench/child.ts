import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { tied } from './children.ts';
import { type Effort, type Rival, Unavailable } from './scenario.ts';

/** A rival that needs a Node of its own: `make` is exported by `module`, and makes it there. */
export interface ChildPlan {
  readonly module: string;
  readonly make: string;
  /** Flags of Node. */
  readonly flags: readonly string[];
}

interface Answer {
  /** Of a round; anything else once it has started. */
  readonly figure?: number;
  readonly absent?: string;
}

/** A rival that runs in a process of its own, with flags that this process has not. */
export function inProcess(name: string, { module, make, flags }: ChildPlan): Rival {
  let child: ChildProcess | undefined;
  const ask = async (question: Effort | 'round'): Promise<number> => {
    if (!child) throw new Error(`${name} has not been started`);
    const ended = new AbortController();
    const gone = once(child, 'exit', { signal: ended.signal }).then(([code]): [Answer] => [
      { absent: `Node ${process.versions.node} with ${flags.join(' ')} ended with exit code ${code}` },
    ]);
    gone.catch(() => {}); // it is aborted when there is an answer
    child.send(question);
    const [answer] = (await Promise.race([once(child, 'message'), gone])) as [Answer];
    ended.abort();
    if (answer.absent !== undefined) throw new Unavailable(answer.absent);
    return answer.figure ?? Number.NaN;
  };
  return {
    name,
    elsewhere: true,
    async start(effort) {
      child = tied(fork(fileURLToPath(import.meta.url), [module, make], { execArgv: [...flags], stdio: 'ignore' }));
      await ask(effort);
    },
    round: () => ask('round'),
    async stop() {
      child?.kill();
    },
  };
}

/** The child's side. */
async function serve(module: string, name: string): Promise<void> {
  let rival: Rival | undefined;
  process.on('message', async (question: Effort | 'round') => {
    try {
      if (question !== 'round') {
        const made = ((await import(module)) as Record<string, (() => Rival) | undefined>)[name]?.();
        if (!made) throw new Error(`${module} exports no ${name}`);
        rival = made;
        await rival.start(question);
      }
      const figure = question === 'round' ? ((await rival?.round()) ?? Number.NaN) : 0;
      process.send?.({ figure } satisfies Answer);
    } catch (error) {
      process.send?.({ absent: error instanceof Error ? error.message : String(error) } satisfies Answer);
    }
  });
}

const [, program, module = '', make = ''] = process.argv;
if (program === fileURLToPath(import.meta.url)) void serve(module, make);
