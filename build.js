// Builds everything into dist/: the kernel by AssemblyScript, unless it is there of just these sources, the rest by TypeScript.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import asc from 'assemblyscript/asc';

const KERNEL_BUDGET = 15 * 1024; // bytes of dist/lib/kernel/kernel.wasm
const kernel = 'dist/lib/kernel/kernel.wasm';
const kernelStamp = 'dist/kernel.stamp'; // of what the kernel was built
const kernelSources = [
  'lib/kernel/pieces.ts',
  'lib/kernel/waiters.ts',
  'lib/kernel/waits.ts',
  'lib/kernel/lock.ts',
  'lib/kernel/rlock.ts',
  'lib/kernel/rwlock.ts',
  'lib/kernel/condition.ts',
  'lib/kernel/semaphore.ts',
  'lib/kernel/event.ts',
  'lib/kernel/barrier.ts',
  'lib/kernel/latch.ts',
  'lib/kernel/value.ts',
  'lib/kernel/ring.ts',
  'lib/kernel/records.ts',
  'lib/kernel/blocks.ts',
  'lib/kernel/redelivery.ts',
  'lib/kernel/pipe.ts',
  'lib/kernel/broadcast.ts',
];

await buildKernel();
buildTypeScript();

async function buildKernel() {
  const stamp = stampOfKernel();
  if (existsSync(kernel) && existsSync(kernelStamp) && readFileSync(kernelStamp, 'utf8') === stamp) return;
  mkdirSync(dirname(kernel), { recursive: true });
  const { error, stderr } = await asc.main([
    ...kernelSources,
    ...['--outFile', kernel],
    ...['--optimizeLevel', '3', '--shrinkLevel', '0', '--noAssert', '--runtime', 'stub'],
    ...['--enable', 'threads', '--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ]);
  if (error) fail(`${stderr}`);
  const { size } = statSync(kernel);
  if (size > KERNEL_BUDGET) fail(`${kernel} has ${size} bytes, ${KERNEL_BUDGET} are allowed`);
  writeFileSync(kernelStamp, stamp);
}

/** Changes with the sources of the kernel, this file, and the versions of the packages that compile. */
function stampOfKernel() {
  const sources = readdirSync('lib/kernel').map((name) => join('lib/kernel', name));
  const hash = createHash('sha256');
  for (const file of [...sources.sort(), 'build.js', 'package-lock.json']) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

function buildTypeScript() {
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const { status } = spawnSync(process.execPath, [join(typescript, 'bin', 'tsc')], { stdio: 'inherit' });
  if (status !== 0) fail('the TypeScript compiler found errors');
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
