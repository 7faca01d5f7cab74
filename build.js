// Builds everything into dist/: the kernel by AssemblyScript, the rest by TypeScript, and either only where it is not there of
// just these sources.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const KERNEL_BUDGET = 15 * 1024; // bytes of dist/lib/kernel/kernel.wasm
const kernel = 'dist/lib/kernel/kernel.wasm';
const kernelStamp = 'dist/kernel.stamp'; // of what the kernel was built
const typeScriptStamp = 'dist/typescript.stamp'; // and the rest
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
  const stamp = stampOf(filesIn('lib/kernel'));
  if (existsSync(kernel) && isStamped(kernelStamp, stamp)) return;
  mkdirSync(dirname(kernel), { recursive: true });
  const { default: asc } = await import('assemblyscript/asc'); // a second, for nothing where the kernel is there
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

function buildTypeScript() {
  const sources = ['lib', 'bench', 'spec', 'examples'].flatMap(filesIn).filter((name) => /\.c?ts$/.test(name));
  const stamp = stampOf([...sources, 'tsconfig.json']);
  if (isStamped(typeScriptStamp, stamp) && sources.filter(isProgram).every(isBuilt)) return;
  const typescript = dirname(createRequire(import.meta.url).resolve('typescript/package.json'));
  const { status } = spawnSync(process.execPath, [join(typescript, 'bin', 'tsc')], { stdio: 'inherit' });
  if (status !== 0) fail('the TypeScript compiler found errors');
  writeFileSync(typeScriptStamp, stamp);
}

/** Whether a program is built of that source: not of what AssemblyScript compiles, nor of declarations. */
function isProgram(name) {
  return !name.startsWith(join('lib', 'kernel')) && !name.endsWith('.d.ts');
}

/** Whether the program of that source is there, and nobody has changed it since everything was built. */
function isBuilt(name) {
  const { mtimeMs = Infinity } = statSync(join('dist', name.replace(/ts$/, 'js')), { throwIfNoEntry: false }) ?? {};
  return mtimeMs <= statSync(typeScriptStamp).mtimeMs;
}

function filesIn(folder) {
  const names = readdirSync(folder, { recursive: true });
  return names.map((name) => join(folder, name)).sort();
}

function isStamped(file, stamp) {
  return existsSync(file) && readFileSync(file, 'utf8') === stamp;
}

/** Changes with those sources, their names, this file, and the versions of the packages that compile. */
function stampOf(sources) {
  const hash = createHash('sha256');
  for (const file of [...sources, 'build.js', 'package-lock.json']) hash.update(file).update(readFileSync(file));
  return hash.digest('hex');
}

function fail(message) {
  console.error(message);
  process.exit(1);
}
