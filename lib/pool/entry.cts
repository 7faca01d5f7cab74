// Where piscina starts a thread. piscina asks `require` first, and Node 20 aborts the process when a thread is terminated
// while `require` links an ES module; so this one is CommonJS, and loads the other by `import`.
// The compiler marks it as an ES module that was compiled: for piscina `default` is then the handler, and not all of this.

const loading = import('./worker.ts');
// Who calls hears of it.
loading.catch(() => {});

exports.default = async (call: Parameters<Awaited<typeof loading>['default']>[0]) => (await loading).default(call);
exports.reside = async (residence: Parameters<Awaited<typeof loading>['reside']>[0]) =>
  (await loading).reside(residence);
