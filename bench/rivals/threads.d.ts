// `threads` has declarations that its own `exports` hide: this is the part of them that is used here.

declare module 'threads' {
  export class Worker {
    constructor(path: string);
  }
  export function spawn<T>(worker: Worker): Promise<T>;
  export function Pool<T>(
    start: () => Promise<T>,
    size: number,
  ): { queue<R>(task: (thread: T) => Promise<R>): PromiseLike<R>; terminate(force: boolean): Promise<void> };
}

declare module 'threads/worker' {
  export function expose(functions: object): void;
}
