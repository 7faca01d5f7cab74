/**
 * Instruments a compiled kernel: a hook before every access of memory, and asyncify around it, so that a call can be left at
 * any access and taken up again there.
 *
 * Source: Binaryen's asyncify, Zakai, "Pause and Resume WebAssembly with Binaryen's Asyncify" (2019).
 *
 * 1. flatten: afterwards every operand is a local or a constant, so that the hook can stand right before the instruction
 * 2. put a call of the hook before each access  3. asyncify  4. module globals become words at `env.locals`, an
 *    address of each thread's own
 */
import binaryen from 'binaryen';

/** How an instruction touches memory. */
export type Act = 'load' | 'store' | 'cmpxchg' | 'rmw' | 'fill';

/** One instruction of the module that touches memory. */
export interface Site {
  readonly act: Act;
  readonly atomic: boolean;
  readonly offset: number;
  /** In bytes; of a fill the hook says it. */
  readonly size: number;
}

export interface Instrumented {
  readonly module: WebAssembly.Module;
  readonly sites: readonly Site[];
}

const OPERANDS = String.raw`((?:\s+\((?:local\.get \S+|i32\.const \S+|i64\.const \S+|f64\.const \S+)\))+)\s*\)`;
const ACCESS = new RegExp(
  String.raw`\((i32|i64|f64)\.(atomic\.)?(load|store|rmw)([\w.]*)((?: (?:offset|align)=\d+)*)${OPERANDS}`,
  'g',
);
const FILL = new RegExp(String.raw`\(memory\.(?:fill|copy)${OPERANDS}`, 'g'); // of a copy the target
const OPERAND = /\((?:local\.get \S+|i32\.const \S+|i64\.const \S+)\)/g;
const LOCALS = 'locals';
/** Bytes at `env.locals` that the globals may take. */
export const LOCALS_BYTES = 64;

/** The module with its hooks, `env.hook(site, base, length)`: the last is that of a fill. */
export function instrument(wasm: Uint8Array): Instrumented {
  const flat = readModule(binaryen.readBinary(wasm));
  flat.addFunctionImport(
    'hook',
    'env',
    'hook',
    binaryen.createType([binaryen.i32, binaryen.i32, binaryen.i32]),
    binaryen.none,
  );
  flat.addGlobalImport(LOCALS, 'env', LOCALS, binaryen.i32, false);
  flat.runPasses(['flatten']);
  const text = flat.emitText();
  flat.dispose();
  const { hooked, sites } = withHooks(text);
  const module = readModule(binaryen.parseText(withGlobalsInMemory(hooked)));
  binaryen.setOptimizeLevel(1);
  binaryen.setPassArgument('asyncify-imports', 'env.hook');
  module.runPasses(['simplify-locals-nostructure', 'vacuum', 'asyncify', 'coalesce-locals', 'vacuum']);
  if (!module.validate()) throw new Error('the instrumented kernel is not valid');
  const bytes = module.emitBinary();
  module.dispose();
  return { module: new WebAssembly.Module(bytes), sites };
}

function readModule(module: binaryen.Module): binaryen.Module {
  const {
    Atomics: atomics,
    MutableGlobals,
    BulkMemory,
    BulkMemoryOpt,
    NontrappingFPToInt,
    SignExt,
  } = binaryen.Features;
  module.setFeatures(atomics | MutableGlobals | BulkMemory | BulkMemoryOpt | NontrappingFPToInt | SignExt);
  return module;
}

function withHooks(text: string): { hooked: string; sites: Site[] } {
  const sites: Site[] = [];
  const hooked = text
    .replace(ACCESS, (instruction, type, atomic, kind, rest, flags, operands) => {
      const [base] = operands.match(OPERAND) ?? [];
      const act: Act = kind === 'rmw' ? (rest.endsWith('cmpxchg') ? 'cmpxchg' : 'rmw') : kind;
      if (/^(8|16|32)|\.rmw(8|16|32)/.test(rest)) throw new Error(`no hook for ${instruction}`);
      const offset = Number(/offset=(\d+)/.exec(flags)?.[1] ?? 0);
      sites.push({ act, atomic: atomic !== undefined, offset, size: type === 'i32' ? 4 : 8 });
      const result = act === 'store' ? '' : ` (result ${type})`;
      return `(block${result} (call $hook (i32.const ${sites.length - 1}) ${base} (i32.const 0)) ${instruction})`;
    })
    .replace(FILL, (instruction, operands) => {
      const [base, , length] = operands.match(OPERAND) ?? [];
      sites.push({ act: 'fill', atomic: false, offset: 0, size: 0 });
      return `(block (call $hook (i32.const ${sites.length - 1}) ${base} ${length}) ${instruction})`;
    });
  const all =
    text.match(/\((?:i32|i64|f32|f64|v128)\.(?:atomic\.)?(?:load|store|rmw)|\(memory\.(?!size)\w+ *\n/g) ?? [];
  if (all.length !== sites.length) throw new Error(`${all.length} accesses, ${sites.length} hooks`);
  return { hooked, sites };
}

/** Globals become words of the thread's own memory, so that they are saved and restored with the rest. */
function withGlobalsInMemory(text: string): string {
  const types = [...text.matchAll(/\(global (\S+) \(mut (i32|i64)\)/g)].map(([, name = '', type = '']) => ({
    name,
    type,
  }));
  const base = `(global.get $${LOCALS})`;
  return types.reduce((code, { name, type }, i) => {
    const escaped = name.replaceAll('$', '\\$');
    const offset = `offset=${8 * i}`;
    return code
      .replace(new RegExp(`\\(global\\.get ${escaped}\\)`, 'g'), () => `(${type}.load ${offset} ${base})`)
      .replace(new RegExp(`\\(global\\.set ${escaped}(?=\\s)`, 'g'), () => `(${type}.store ${offset} ${base}`);
  }, text);
}
