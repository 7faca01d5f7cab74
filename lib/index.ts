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
export { type Codec, codec } from './queue/codec.ts';
export { Queue, type QueueOptions } from './queue/queue.ts';
export { Condition, type ConditionOptions } from './sync/condition.ts';
export type { LockFace } from './sync/inner.ts';
export { Mutex } from './sync/mutex.ts';
export { RLock } from './sync/rlock.ts';
export { RwLock } from './sync/rwlock.ts';
