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
export const REGION_WANTED = 128; // 1 when a producer waits for a free piece
export const REGION_BYTES = 192;

// Thread record: one slot of the threads table
export const THREAD_CLAIM = 0; // 0, or Node's threadId + 1
export const THREAD_GENERATION = 4; // how often the slot was given back
export const THREAD_PARK = 64; // park word, on a line of its own
export const THREAD_MAIL = 128; // 8 payload bytes on their way into a slot or out of it
export const THREAD_INTENT_QUEUE = 144; // the position that this thread is about to claim: of which queue,
export const THREAD_INTENT_POSITION = 148; // which position,
export const THREAD_INTENT_COUNT = 152; // and how many from there
export const THREAD_BATCH = 192; // payloads of a batch, 8 bytes each
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
export const KIND_LONG = 3; // the rest of a message that is longer than a block
export const KIND_MUTEX = 4;
export const KIND_QUEUE = 5;

// Wait set: a bit for each slot of the threads table
export const WAIT_SET_BYTES = 64;

// What a kernel operation says
export const DONE = 1;
export const WAKE = 2; // done, and somebody who waits can go on
export const BUSY = 0; // not now
export const CLOSED = -1;
export const FREED = -2; // the object was freed: the handle is stale

// Long message: the header of each piece behind the first block
export const LONG_NEXT = 8; // address of the next piece, or 0
export const LONG_LENGTH = 12; // bytes of the message in this piece

// Mutex
export const MUTEX_WORD = 8; // on the header's line, so that a lock touches one line
export const MUTEX_WAITERS = 64;
export const MUTEX_BYTES = 128;
export const OWNER = 0x3ff; // mask: slot + 1 of the thread that holds it, 0 for nobody
export const CONTENDED = 0x400; // held, and somebody sleeps
export const STAMP_SHIFT = 12; // above: the low bits of the serial, so that a stale handle fails in the compare-exchange itself

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
export const BROADCAST_TAIL = 128; // next position to claim; the lowest bit says closed
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
export const SUBSCRIPTION_STATE = 72; // NOT_SUBSCRIBED, or (slot + 1) << 1 of the thread that used it last, | SUBSCRIBED
export const SUBSCRIPTION_WAITERS = 128; // wait set
export const SUBSCRIPTION_BYTES = 192;
export const NOT_SUBSCRIBED = 0; // anybody may take the place
export const SUBSCRIBED = 1; // bit: the cursor counts

// Queue
export const QUEUE_MASK = 64; // slots - 1; slots are the next power of two of the capacity
export const QUEUE_LIMIT = 68; // 2 * capacity: positions count in twos
export const QUEUE_CODEC = 72;
export const QUEUE_BLOCKS = 76; // how many blocks, 0 when the codec needs none
export const QUEUE_BLOCK_STRIDE = 80; // bytes from one block to the next
export const QUEUE_BLOCKS_AT = 84; // address of the first block
export const QUEUE_TAIL = 128; // next position to claim; the lowest bit says closed
export const QUEUE_HEAD_SEEN = 132; // what a producer last saw of the head
export const QUEUE_HEAD = 256; // next position to take
export const QUEUE_FINISHED = 384; // position up to which taskDone() was called
export const QUEUE_GETTERS = 448; // wait set: consumers of an empty queue
export const QUEUE_PUTTERS = 512; // wait set: producers of a full one
export const QUEUE_JOINERS = 576; // wait set: threads in join()
export const QUEUE_SLOTS = 640;
export const CLOSED_BIT = 1; // of the tail

// Slot of a ring
export const SLOT_STAMP = 0; // position | 1 once published
export const SLOT_PAYLOAD = 8;
export const SLOT_SHIFT = 4; // 16 bytes

// Block: bytes that a sender owns until it publishes them
export const BLOCK_STATE = 0; // BLOCK_FREE, (slot + 1) << 1 of its owner, or position | 1 when sent
export const BLOCK_REST = 4; // address of the piece with the rest of a long message, or 0
export const BLOCK_LENGTH = 8; // bytes of the message
export const BLOCK_DATA = 16;
export const BLOCK_FREE = 0;
export const NO_BLOCK = -1; // what a claim says when none is free
export const SPARE_BLOCKS = 16; // beside the capacity: for those who encode or decode just now
