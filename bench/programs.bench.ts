import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { pipeline as streamed } from 'node:stream/promises';
import { fileURLToPath } from 'node:url';
import { Piscina } from 'piscina';
import Tinypool from 'tinypool';
import { type Sum, sum } from '../examples/hash.worker.ts';
import { render } from '../examples/http.worker.ts';
import { Pool, pipeline, type WorkerModule } from '../lib/index.ts';
import { Crew } from './crew.ts';
import { python } from './native.ts';
import { files } from './programs.jobs.ts';
import { quantile, type Rival, type Scenario } from './scenario.ts';
import { number } from './words.ts';

// Whole programs, those of the examples `hash` and `http`: what becomes of a figure where files and sockets take their part.

const THREADS = 2;
const two = { minThreads: THREADS, maxThreads: THREADS };
const { resolve } = createRequire(import.meta.url);

// The checksums of a tree.

const hashing = new URL('../examples/hash.worker.js', import.meta.url) as WorkerModule<
  typeof import('../examples/hash.worker.ts')
>;
const TREE = dirname(resolve('echarts/package.json'));
const AHEAD = 64; // files under way where a program has to say so

const PASSES = 6;
const WARM = 4; // passes in which threads and their memory are new, as those of a pipeline are each round

/** The tree again and again. */
function* passes(): Generator<string> {
  for (let pass = 0; pass < PASSES; pass++) yield* files(TREE);
}

let known: { readonly files: number; readonly digest: string } | undefined;

/** What has to come out. */
function expected(): { readonly files: number; readonly digest: string } {
  if (known) return known;
  const tree = createHash('sha256');
  let count = 0;
  for (const { sha256 } of here()) {
    tree.update(sha256);
    count++;
  }
  known = { files: count / PASSES, digest: tree.digest('hex') };
  return known;
}

/** Megabytes a second of the passes that count; the checksums must come in the order of the files, and all of them. */
async function megabytes(sums: Iterable<Sum> | AsyncIterable<Sum>): Promise<number> {
  const { files, digest } = expected();
  let [count, bytes, begin] = [0, 0, 0];
  const tree = createHash('sha256');
  for await (const one of sums) {
    if (count++ < WARM * files) begin = performance.now();
    else bytes += one.bytes;
    tree.update(one.sha256);
  }
  const ms = performance.now() - begin;
  const came = tree.digest('hex');
  if (came !== digest) throw new Error(`the tree came to ${came} and not to ${digest}`);
  return bytes / 1e3 / ms;
}

/** A rival whose every round is all passes; the first time that the tree is read it comes from the disk, and that is no round. */
const hashes = (name: string, round: () => Iterable<Sum> | AsyncIterable<Sum>, more: Partial<Rival> = {}): Rival => ({
  name,
  start() {
    expected();
  },
  round: () => megabytes(round()),
  stop() {},
  ...more,
});

const inPipeline = (threads: number): Rival =>
  hashes(`ringfence pipeline, ${threads} ${threads === 1 ? 'thread' : 'threads'}`, () =>
    pipeline(passes()).map(hashing, 'sum', { threads }),
  );

/** The results of `run`, in the order of the files, with so many under way. */
async function* inOrder(run: (path: string) => Promise<Sum>, most: number): AsyncGenerator<Sum> {
  const underWay: Promise<Sum>[] = [];
  for (const path of passes()) {
    underWay.push(run(path));
    if (underWay.length === most) yield await (underWay.shift() as Promise<Sum>);
  }
  for (const one of underWay) yield await one;
}

function mapped(): Rival {
  let pool: Pool<typeof import('../examples/hash.worker.ts')>;
  return hashes('ringfence Pool, map', () => pool.map(passes(), { name: 'sum' }), {
    start() {
      pool = new Pool(hashing, { threads: THREADS });
    },
    stop: () => pool?.close(),
  });
}

function byPiscina(): Rival {
  let pool: Piscina;
  return hashes('piscina.run, a task a file', () => inOrder((path) => pool.run(path, { name: 'sum' }), AHEAD), {
    start() {
      pool = new Piscina({ filename: fileURLToPath(hashing), ...two });
    },
    stop: () => pool?.destroy(),
  });
}

/** What one writes who has heard that streams are fast: libuv reads, and this thread hashes. */
async function stream(path: string): Promise<Sum> {
  const hash = createHash('sha256');
  let bytes = 0;
  await streamed(createReadStream(path), async (chunks: AsyncIterable<Buffer>) => {
    for await (const chunk of chunks) {
      bytes += chunk.length;
      hash.update(chunk);
    }
  });
  return { path, bytes, sha256: hash.digest('hex') };
}

function* here(): Generator<Sum> {
  for (const path of passes()) yield sum(path);
}

const tree: Scenario = {
  name: 'checksums of a tree: every core hashes once its thread is warm, and the order stays',
  how: `SHA-256 of each file of the package echarts, in the order of their names, ${PASSES} times over, of which the first ${WARM} do not count: threads and their memory are new then`,
  unit: 'MB/s',
  better: 'more',
  threads: 3,
  rounds: 5,
  compare: true,
  slow: true,
  rivals: [
    inPipeline(2),
    inPipeline(1),
    mapped(),
    byPiscina(),
    hashes('one thread', here),
    hashes('one thread, createReadStream, 8 at a time', () => inOrder(stream, 8)),
    python('multiprocessing.Pool.imap, Python', ['tree', TREE, `${WARM}`, `${PASSES}`, `${THREADS}`]),
  ],
};

// A server that renders Markdown.

const rendering = new URL('../examples/http.worker.js', import.meta.url);
const PAGE = readFileSync(`${dirname(resolve('workerpool/package.json'))}/README.md`, 'utf8');
const REQUESTS = 100; // a round
const CLIENTS = 16;

interface Renderer {
  run(page: string): string | Promise<string>;
  close?(): unknown;
}

type Work = typeof import('../examples/http.worker.ts');

const renderers: Record<string, () => Renderer> = {
  'ringfence Pool': () => {
    const pool = new Pool<Work>(rendering, { threads: THREADS });
    return { run: (page) => pool.run(page, { name: 'render' }), close: () => pool.close() };
  },
  piscina: () => {
    const pool = new Piscina({ filename: fileURLToPath(rendering), ...two });
    return { run: (page) => pool.run(page, { name: 'render' }), close: () => pool.destroy() };
  },
  tinypool: () => {
    const pool = new Tinypool({ filename: rendering.href, ...two });
    return { run: (page) => pool.run(page, { name: 'render' }), close: () => pool.destroy() };
  },
  'the event loop itself': () => ({ run: render }),
};

/** What a round of requests came to. */
interface Served {
  readonly requests: number; // a second
  readonly lag: number; // milliseconds
}

function server(name: string, figure: keyof Served): Rival {
  let [renderer, http, client]: [Renderer?, Server?, Crew?] = [];
  const rounds: Served[] = [];
  const serve = async (): Promise<Served> => {
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const ms = (await client?.round(REQUESTS)) ?? Number.NaN;
    delay.disable();
    return { requests: (REQUESTS / ms) * 1e3, lag: delay.max / 1e6 };
  };
  return {
    name,
    async start() {
      const made = renderers[name]?.();
      renderer = made;
      http = createServer(async (_, response) => response.end(await made?.run(PAGE))).listen(0, '127.0.0.1');
      http.keepAliveTimeout = 0; // the others have their turns in between
      await once(http, 'listening');
      const url = `http://127.0.0.1:${(http.address() as AddressInfo).port}`;
      const data = { url, clients: CLIENTS };
      client = await Crew.start([{ module: new URL('./programs.jobs.js', import.meta.url).href, name: 'visit', data }]);
      await serve(); // once, so that everything is compiled
    },
    async round() {
      const served = await serve();
      rounds.push(served);
      return served[figure];
    },
    async stop() {
      await client?.stop();
      http?.close();
      await renderer?.close?.();
    },
    remark() {
      const middle = (of: keyof Served) =>
        number(
          quantile(
            rounds.map((round) => round[of]),
            0.5,
          ),
        );
      return figure === 'lag' ? `${middle('requests')} requests/s` : `held up for up to ${middle('lag')} ms`;
    },
  };
}

const requests = `${CLIENTS} clients in a thread ask ${REQUESTS} times for a page of Markdown of ${(PAGE.length / 1000).toFixed(0)} KB, which is rendered each time`;
const served = { threads: THREADS + 2, rounds: 7, compare: true, slow: true } as const;

const lag: Scenario = {
  ...served,
  name: 'lag of a server: who renders in a pool can still answer',
  how: `${requests}; the longest time that the event loop of the server was held up in a round`,
  unit: 'ms',
  better: 'less',
  rivals: Object.keys(renderers).map((name) => server(name, 'lag')),
};

const throughput: Scenario = {
  ...served,
  name: 'requests to a server: a pool costs nothing, and brings what there are cores for',
  how: requests,
  unit: 'requests/s',
  better: 'more',
  rivals: Object.keys(renderers).map((name) => server(name, 'requests')),
};

/** The scenarios of whole programs. */
export const programs: readonly Scenario[] = [tree, lag, throughput];
