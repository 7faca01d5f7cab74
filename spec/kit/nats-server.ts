import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { connect, type NatsConnection } from '@nats-io/transport-node';

/** Whether a server can be started here. */
export const hasNats: boolean = spawnSync('nats-server', ['--version']).status === 0;

/** What is said where it cannot. `.ci/run` looks for it. */
export const NO_NATS = 'skipped: there is no nats-server here; install it with: apt-get install nats-server';

/** A real server on a free port, with a store of its own that outlives it. */
export class NatsServer {
  readonly port: number;
  readonly #store = mkdtempSync(join(tmpdir(), 'ringfence-nats-'));
  readonly #connections: NatsConnection[] = [];
  #process: ChildProcess | undefined;

  private constructor(port: number) {
    this.port = port;
  }

  static async start(): Promise<NatsServer> {
    const server = new NatsServer(await freePort());
    await server.start();
    return server;
  }

  /** Starts it again, with what it had stored. */
  async start(): Promise<void> {
    const options = ['-a', '127.0.0.1', '-p', String(this.port), '-js', '-sd', this.#store];
    this.#process = spawn('nats-server', options, { stdio: 'ignore' });
    await (await this.connect()).close();
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#process?.once('exit', resolve));
    this.#process?.kill('SIGKILL');
    await ended;
  }

  /** A connection that outlives a restart, until the server is stopped; perhaps by way of another port. */
  async connect(port: number = this.port): Promise<NatsConnection> {
    const deadline = performance.now() + 10_000;
    for (;;) {
      try {
        const connection = await connect({
          servers: `127.0.0.1:${port}`,
          reconnectTimeWait: 20,
          reconnectJitter: 20,
          maxReconnectAttempts: -1,
        });
        this.#connections.push(connection);
        return connection;
      } catch (error) {
        if (performance.now() > deadline) throw error;
        await pause(20);
      }
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.#connections.map((connection) => connection.close()));
    await this.kill();
    rmSync(this.#store, { recursive: true });
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}
