/**
 * What the bytes of a region mean. The kernel and TypeScript both import this page; nobody else writes an offset.
 *
 *   0          region header     one line of constants, one of counters, one of flags
 *   THREADS_AT threads table     one record a slot
 *   TABLE_AT   piece table       one 64-bit word a unit; the word of a piece's first unit describes the piece
 *   PIECES_AT  pieces            objects, arrays and long messages, in units of 128 bytes
 */

// Region header
export const MAGIC = 0x52464e43; // "RFNC"
export const VERSION = 1; // of this page: a handle of another version is refused
export const REGION_MAGIC = 0;
export const REGION_VERSION = 4;
export const REGION_ID = 8; // random, tells regions of one process apart
export const REGION_THREADS = 12; // slots of the threads table
export const REGION_WORDS = 16; // 64-bit words of a wait set in use: one for each 64 slots
export const REGION_THREADS_AT = 20;
export const REGION_TABLE_AT = 24;
export const REGION_PIECES_AT = 28;
export const REGION_UNITS = 32; // units of 128 bytes behind PIECES_AT
export const REGION_SERIAL = 64; // counts objects, so that a stale handle is told from a live one
export const REGION_HIGH = 68; // units that were ever in use; behind it every byte is still zero
export const REGION_TICKETS = 72; // 64 bits: counts the waits that began, see waits.ts
export const REGION_WANTED = 128; // 1 when a producer waits for a free piece
export const REGION_DEATHS = 132; // threads that died, and how much of each kind was repaired after them, see kinds.ts
export const REGION_REPAIRS = 136;
export const REGION_BYTES = 192;

// Thread record: one slot of the threads table
export const THREAD_CLAIM = 0; // 0, Node's threadId + 1, or -(slot + 1) of the thread that buries it
export const THREAD_GENERATION = 4; // how often the slot was given back
export const THREAD_NAME = 16; // one length byte, then UTF-8: NAME_BYTES of it at the most
export const THREAD_PARK = 64; // park word, on a line of its own
export const THREAD_LAST = 68; // threadId + 1 of the last one that buried itself in this slot, and what it repaired
export const THREAD_REPAIRS = 72;
export const THREAD_MAIL = 128; // 8 payload bytes on their way into a slot or out of it
export const THREAD_SENDING = 136; // the block that it tried to send last,
export const THREAD_SENDING_AS = 140; // and the state that the block had meanwhile
export const THREAD_ANCESTORS = 144; // claims of the workers that it was started by, the nearest first, then zeros
export const ANCESTORS = 4; // of them at the most
export const THREAD_WAIT_OBJECT = 160; // while the ticket is not 0, the thread blocks: for which object,
export const THREAD_WAIT_SERIAL = 164; // its serial,
export const THREAD_WAIT_SET = 168; // in which of its wait sets,
export const THREAD_WAIT_ENDLESS = 172; // 1 without a timeout,
export const THREAD_WAIT_SINCE = 176; // and since when: Date.now(), in 64 bits
export const THREAD_WAIT_TICKET = 184; // 64 bits: 0, or the number of the wait, which no other has
export const THREAD_BATCH = 192; // payloads of a batch, 8 bytes each; numbers of 32 bits have 4
export const BATCH = 256; // payloads in one batch at the most
export const THREAD_BYTES = 2240; // THREAD_BATCH + 8 * BATCH, a multiple of 64
export const MAX_THREADS = 512; // bits of a wait set

// Park word
export const EMPTY = 0; // nobody sleeps, no wake is pending
export const NOTIFIED = 1; // a wake is pending; the next park returns at once
export const PARKED = 2; // the thread sleeps on the word, or its event loop waits for it

// Piece table: low 32 bits are units, high 32 bits the state
export const UNIT = 128;
export const INTERIOR = 0; // not the first unit of a piece
export const FREE = 1; // anybody may claim it
export const USED = 2; // an object, an array or a long message lives there
export const HELD = 3; // + slot: this thread is building or dismantling it

// Object header: the first line of each object
export const OBJECT_KIND = 0;
export const OBJECT_SERIAL = 4; // 0 when freed
export const OBJECT_NAME = 16; // one length byte, then UTF-8
export const NAME_BYTES = 47;
export const OBJECT_HEADER = 64;

export const KIND_REGION = 1;
export const KIND_ARRAY = 2;
export const KIND_LONG = 3; // a message that is longer than a block, or a part of it
export const KIND_MUTEX = 4;
export const KIND_QUEUE = 5;
export const KIND_RLOCK = 6;
export const KIND_RWLOCK = 7;
export const KIND_CONDITION = 9;

// Wait set: a bit for each slot of the threads table
export const WAIT_SET_BYTES = 64;

export const NO_PIECE = -1; // what a claim says when none is free that is long enough,
export const PIECES_MOVE = -2; // or when somebody just then joins or cuts one: it may be worth another look

// What a kernel operation says
export const DONE = 1;
export const WAKE = 2; // done, and somebody who waits can go on
export const BUSY = 0; // not now
export const CLOSED = -1;
export const FREED = -2; // the object was freed: the handle is stale
export const OWNER_DIED = -3; // its owner died, and nobody has recovered it yet
export const SKIPPED = -4; // nothing taken yet, but places were freed, and a producer waits: wake it, and try again
export const HAND = 16; // + slot: done, and that thread must be woken, since what it waits for is its own now

// Long message: the header of each of its pieces
export const LONG_NEXT = 8; // address of the next piece, or 0
export const LONG_LENGTH = 12; // bytes of the message in this piece
export const LONG_BLOCK = 16; // address of its block: whoever owns that owns this piece

// Mutex
export const MUTEX_WORD = 8; // on the header's line, so that a lock touches one line
export const MUTEX_STARVING = 12; // slot + 1 of a waiter that has waited for long, or 0
export const MUTEX_WAITERS = 64;
export const MUTEX_BYTES = 128;
export const OWNER = 0x3ff; // mask: slot + 1 of the thread that holds it, 0 for nobody
export const DEAD = 0x3ff; // in place of an owner, here and in the claims of a ring: it died
export const CONTENDED = 0x400; // held, and somebody sleeps
export const HANDED = 0x800; // given to that thread, who has waited for it for long and does not know yet
export const STAMP_SHIFT = 12; // above: the low bits of the serial, so that a stale handle fails in the compare-exchange itself

// RLock: a mutex, and how often its owner has entered it again
export const RLOCK_BYTES = 192;
export const RLOCK_AGAIN = 128; // only the owner writes it; 0 when nobody holds the lock

// RwLock: a mutex among writers, its gate, and a line for the reads of each thread
export const RW_STATE = 128; // of the states below
export const RW_SLOTS = 132; // slots from here on have never had a handle
export const RW_READERS = 192; // wait set: threads that wait to read
export const RW_DRAINING = 256; // wait set: the writer that has the gate, and waits for the readers to leave
export const RW_LINES = 320;
export const RW_LINE = 64;
export const RW_OPEN = 0; // readers enter
export const RW_BARRED = 1; // a writer waits for the readers to leave
export const RW_WRITTEN = 2; // a writer is inside

// Line of an RwLock: the reads of one thread
export const READ_HELD = 0; // reads that it holds; only the thread writes it
export const READ_TURN = 4; // of the states below
export const READ_NO_TURN = 0; // it does not wait
export const READ_WAITING = 1; // it waits behind a writer
export const READ_ADMITTED = 2; // that writer has left: the next one waits for this thread

// Condition
export const CONDITION_MUTEX = 8; // address of its mutex,
export const CONDITION_MUTEX_SERIAL = 12; // which one that is,
export const CONDITION_MUTEX_KIND = 64; // and of which kind
export const CONDITION_NEXT = 68; // the slot to be notified first, so that all get their turn
export const CONDITION_WAITERS = 128; // wait set
export const CONDITION_COUNTS = 192; // a 64-bit word for each slot: how many wait, and how many of them were notified

// Semaphore
export const KIND_SEMAPHORE = 8;
export const SEMAPHORE_STATE = 8; // 64 bits: available permits in the low half, the turn and its flags in the high half
export const SEMAPHORE_WAITERS = 64;
export const SEMAPHORE_MAX = 128; // permits that may be available at the most
export const SEMAPHORE_SHARES = 192; // one a slot of the threads table
export const SHARE_SHIFT = 4; // 16 bytes
export const SHARE_HELD = 0; // 64 bits: permits that the thread took, less those that it gave
export const SHARE_NEED = 8; // how many it waits for
export const TURN = 0x3ff; // mask: slot + 1 of the thread that comes first in line, 0 for nobody
export const CALLED = 0x400; // it was woken, since there was enough for it
export const RESERVED = 0x800; // nobody else may take permits

// Event
export const KIND_EVENT = 10;
export const EVENT_CHANGES = 8; // how often it was set or cleared: odd while it is set
export const EVENT_WAITERS = 64;
export const EVENT_BYTES = 128;

// Barrier
export const KIND_BARRIER = 11;
export const BARRIER_STATE = 8; // 64 bits: how many have arrived and BROKEN in the low half, the round in the high half
export const BARRIER_WAITERS = 64;
export const BARRIER_PARTIES = 128;
export const BARRIER_RESETS = 132; // how many rounds were given up by a reset
export const BARRIER_BYTES = 192;
export const BROKEN = 0x40000000; // somebody who had arrived gave up
export const OVER = -3; // what an arrival says when the round is another one by now

// Latch
export const KIND_LATCH = 12;
export const LATCH_COUNT = 8;
export const LATCH_WAITERS = 64;
export const LATCH_BYTES = 128;

// Value
export const KIND_VALUE = 13;
export const VALUE_WORD = 8; // 64 bits, of which i32 and u32 use the low half
export const VALUE_TYPE = 64; // which of VALUE_TYPES in ../sync/value.ts
export const VALUE_BYTES = 128;

// One end of a pipe: a queue to receive from and a queue to send to
export const KIND_PIPE = 14;
export const PIPE_OWNER = 8; // PIPE_UNUSED, slot + 1 of the one thread that uses this end, or PIPE_OVER
export const PIPE_INBOX = 64; // address of the queue that it receives from,
export const PIPE_INBOX_SERIAL = 68; // and its serial
export const PIPE_OUTBOX = 72; // address of the queue that it sends to,
export const PIPE_OUTBOX_SERIAL = 76; // and its serial
export const PIPE_PEER = 80; // address of the other end,
export const PIPE_PEER_SERIAL = 84; // and its serial
export const PIPE_BYTES = 128;
export const PIPE_UNUSED = 0; // whoever uses it first owns it
export const PIPE_OVER = -1; // it was closed, or its thread has ended

// Broadcast: a ring whose items every subscriber sees
export const KIND_BROADCAST = 15;
export const BROADCAST_MASK = 64; // cells - 1; cells are the next power of two of the capacity
export const BROADCAST_LIMIT = 68; // 2 * capacity: positions count in twos
export const BROADCAST_SKIPS = 72; // 1 when slow subscribers miss items, 0 when publishers wait for them
export const BROADCAST_CODEC = 76;
export const BROADCAST_MESSAGE_BYTES = 80; // bytes of a message at the most
export const BROADCAST_CELL_STRIDE = 84; // bytes from one cell to the next
export const BROADCAST_CELLS_AT = 88; // address of the first cell
export const BROADCAST_MAIL_STRIDE = 92; // bytes from the mail of one thread to that of the next
export const BROADCAST_MAILS_AT = 96; // address of the mail of the thread in slot 0
export const BROADCAST_PLACES = 100; // how many subscriptions there can be at a time
export const BROADCAST_PLACES_AT = 104; // address of the list of their addresses
export const BROADCAST_TEXT = 108; // address of the description of its codec, or 0
export const BROADCAST_TAIL = 128; // next position to claim; the lowest bit says closed
export const CLOSED_BIT = 1; // of that tail
export const BROADCAST_SEEN = 132; // what a publisher last saw of the slowest subscriber
export const BROADCAST_USED = 192; // places of the list that were ever taken
export const BROADCAST_PUBLISHERS = 256; // wait set: publishers that wait for the slowest subscriber
export const BROADCAST_BYTES = 320;

// Cell of a broadcast's ring, and the mail of a thread: a message on its way into a cell or out of it
export const CELL_STAMP = 0; // position | 1 once published
export const CELL_LENGTH = 4;
export const CELL_DATA = 8;

// Subscription: where one subscriber is in a broadcast
export const KIND_SUBSCRIPTION = 16;
export const SUBSCRIPTION_BROADCAST = 8; // address of the broadcast
export const SUBSCRIPTION_CURSOR = 64; // next position to take
export const SUBSCRIPTION_MISSED = 68; // items that were overwritten before they were taken
export const SUBSCRIPTION_STATE = 72; // NOT_SUBSCRIBED, or the serial << 11 | (slot + 1) << 1 of the thread that used it last | SUBSCRIBED
export const SUBSCRIPTION_WAITERS = 128; // wait set
export const SUBSCRIPTION_BYTES = 192;
export const NOT_SUBSCRIBED = 0; // anybody may take the place
export const SUBSCRIBED = 1; // bit: the cursor counts
export const SUBSCRIBER_SHIFT = 1; // of slot + 1 in that state,
export const SUBSCRIPTION_SHIFT = 11; // and of the low bits of the serial, so that a place which was taken anew is told from the old one

// Queue
export const QUEUE_MASK = 64; // slots - 1; slots are a power of two and more than the capacity
export const QUEUE_LIMIT = 68; // 2 * capacity: positions count in twos
export const QUEUE_CODEC = 72;
export const QUEUE_BLOCKS = 76; // how many blocks, 0 when the codec needs none
export const QUEUE_BLOCK_STRIDE = 80; // bytes from one block to the next
export const QUEUE_BLOCKS_AT = 84; // address of the first block
export const QUEUE_SLOT_SHIFT = 88; // SLOT_SHIFT, or more for records
export const QUEUE_REDELIVERS = 92; // 1 when items stay their consumer's until it acknowledges them
export const QUEUE_NUMBERS_AT = 96; // address of the number beside the first slot, or 0 when its items are no numbers
export const QUEUE_RECORD = 100; // bytes of a record that lies in its slot, or 0
export const QUEUE_TEXT = 104; // address of the description of its codec, or 0
export const QUEUE_NUMBER_SHIFT = 108; // 2 for numbers of 32 bits, 3 for those of 64
export const QUEUE_TAIL = 128; // where to look for the end; never ahead of it
export const QUEUE_HEAD_SEEN = 132; // what a producer last saw of the head
export const QUEUE_HEAD = 256; // next position to take
export const QUEUE_FINISHED = 384; // position up to which taskDone() was called
export const QUEUE_RETURNS = 388; // how often items came back from a thread that died,
export const QUEUE_RETURNS_SEEN = 392; // and when they had all been taken again
export const QUEUE_BEREFT = 396; // 1 + the thread whose death found items taken and not finished, or 0
export const QUEUE_GETTERS = 448; // wait set: consumers of an empty queue
export const QUEUE_PUTTERS = 512; // wait set: producers of a full one
export const QUEUE_JOINERS = 576; // wait set: threads in join()
export const QUEUE_RESERVERS = 640; // wait set: threads that want memory for a reservation
export const QUEUE_SLOTS = 704;

// Slot of a ring: a word of 64 bits, see ring.ts
export const SLOT_SHIFT = 3; // 8 bytes, and those of a record behind them
export const SLOT_RECORD = 8; // where the record is
export const CLAIM_SHIFT = 10; // of a claim: the count above, slot + 1 of the owner below; of a run: the count, and nobody
export const CLOSED_MARK = -1; // the queue ends here
export const NO_CLAIM = -1; // no position

// Block: bytes that a sender owns until it publishes them
export const BLOCK_STATE = 0; // BLOCK_FREE, (slot + 1) << 1 of its owner, or position | 1 when sent
export const BLOCK_REST = 4; // address of the first piece of a long message; else 0, or minus that of the last one, as a hint
export const BLOCK_LENGTH = 8; // bytes of the message
export const BLOCK_ORDER = 12; // at which position it was taken last
export const BLOCK_DATA = 16;
export const BLOCK_FREE = 0;
export const PUTTERS_WAIT = 1; // bits of what is said when a block was given back
export const RESERVERS_WAIT = 2;
export const TAKEN = 0x800; // beside an owner: it took the item and has not acknowledged it; without: it came back
export const NO_BLOCK = -1; // what a claim says when none is free
export const SPARE_BLOCKS = 16; // beside the capacity: for those who encode or decode just now

// Tasks of a pool, in an array: a line for each of its threads, the names of functions, and a record for each task
export const LINE_SLOT = 12; // slot + 1 of the thread, once it takes tasks
export const LINE_SEEKING = 16; // 1 while it takes one from the ring: which one is in its mail, or NO_TASK
export const LINE_TAKEN = 20; // 1 + the task that it took and has not begun, or 0
export const LINE_BYTES = 64;
export const NO_TASK = -1;
export const TASK_NAMES = 64; // names of functions; each is one length byte, then UTF-8
export const TASK_NAME_BYTES = 64;
export const TASK_NAME = 0; // record: the place of the function's name in that list,
export const TASK_MODE = 4; // of the bits below,
export const TASK_STATE = 8; // of the states below,
export const TASK_FORM = 12; // and forms: of the payload, then of the result
export const TASK_LENGTH = 16; // its bytes
export const TASK_LONG = 20; // address of the piece with a long payload, or 0
export const TASK_RESULT = 24; // address of the piece with a long result, or 0
export const TASK_STATUS = 28; // of those below; when it is not NOT_ENDED the thread has written all of the result
export const TASK_BEGAN = 32; // 64 bits: when, in ms
export const TASK_ENDED = 40;
export const TASK_NUMBER = 48;
export const TASK_PROGRESS = 56; // of many items: how many the thread has begun
export const TASK_DATA = 64;
export const TASK_BYTES = 256;

// Mode of a task
export const TASK_ALONE = 1; // its thread shall run nothing else meanwhile
export const TASK_MANY = 2; // the payload is a list, and the function runs on each of its items

// State of a task: the lower bits; above them the place of the thread that began it
export const TASK_FREE = 0;
export const TASK_QUEUED = 1; // in the ring, or taken from it and not begun
export const TASK_CANCELLED = 2; // whoever takes it shall give it back
export const TASK_BEGUN = 3;
export const TASK_ABORTED = 4; // begun, and nobody waits for it any more
export const TASK_PHASE = 7; // mask
export const TASK_PLACE_SHIFT = 3;

// Form of a payload or result
export const AS_NUMBER = 1; // in TASK_NUMBER
export const AS_BYTES = 2; // TASK_LENGTH bytes in TASK_DATA
export const AS_PIECE = 3; // TASK_LENGTH bytes in a piece of the region
export const AS_MESSAGE = 4; // by postMessage, when the thread asks for it

// How a task ended
export const NOT_ENDED = 0;
export const RETURNED = 1;
export const THREW = 2;
export const NOT_RUN = 3; // it was cancelled, or its payload could not be sent
