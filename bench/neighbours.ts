import os from 'node:os';

/** How much of the machine other programs use while something of this process runs. */
export class Neighbours {
  #since = { time: 0, busy: 0, own: 0 };
  #ms = 0;
  #used = 0;

  start(): void {
    this.#since = { time: performance.now(), busy: busy(), own: own() };
  }

  stop(): void {
    const { time, busy: before, own: ownBefore } = this.#since;
    this.#ms += performance.now() - time;
    this.#used += busy() - before - (own() - ownBefore);
  }

  /** The cores that others used, from all starts to their stops; the clock of the system has ticks of 10 ms. */
  get cores(): number {
    return this.#ms > 0 ? Math.max(0, this.#used / this.#ms) : 0;
  }
}

/** Milliseconds that all cores together have worked since they were started. */
function busy(): number {
  return os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
}

/** Milliseconds that all threads of this process have worked. */
function own(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
