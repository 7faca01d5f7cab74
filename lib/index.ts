export {
  ClosedError,
  CodecError,
  DeadlockError,
  InvalidHandleError,
  MessageTooLargeError,
  NotOwnerError,
  RegionFullError,
  RingfenceError,
  TaskError,
  ThreadDiedError,
  TimeoutError,
  TooManyThreadsError,
} from './memory/errors.ts';
export { attach, type Shared, SharedObject, type SharedObjectOptions, share } from './memory/handles.ts';
export { Region, type RegionOptions, type TypedArrayConstructor } from './memory/region.ts';
export type { AsyncWaitOptions, WaitOptions } from './memory/wait.ts';
export { Pool } from './pool/pool.ts';
export { Thread } from './pool/thread.ts';
export { Broadcast, type BroadcastOptions } from './queue/broadcast.ts';
export { type Codec, codec } from './queue/codec.ts';
export { Connection, type PipeOptions, pipe } from './queue/pipe.ts';
export { Queue, type QueueOptions } from './queue/queue.ts';
export { type Selected, type Source, select, selectAsync } from './queue/select.ts';
export { Subscription } from './queue/subscription.ts';
export { Mutex } from './sync/mutex.ts';
