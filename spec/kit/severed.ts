import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from 'node:net';

/**
 * Stands between clients and the server at `port`, and breaks connections when told: as soon as the server has answered what
 * `begins` says, that answer is thrown away and both ends are cut.
 */
export class Severed {
  /** Where clients find it. */
  readonly port: number;
  /** What the server answered, as clients received it. */
  heard = '';
  /** The answers that no client received. */
  readonly lost: string[] = [];
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  #losing: RegExp | undefined;

  private constructor(server: Server) {
    this.#server = server;
    this.port = (server.address() as AddressInfo).port;
  }

  static async before(port: number): Promise<Severed> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const severed = new Severed(server);
    server.on('connection', (client) => severed.#join(client, dial(port, '127.0.0.1')));
    return severed;
  }

  /** The next answer like this is lost, with the connection. */
  lose(answer: RegExp): void {
    this.#losing = answer;
  }

  #join(client: Socket, server: Socket): void {
    const ends = [client, server];
    const cut = () => {
      for (const end of ends) {
        end.destroy();
        this.#open.delete(end);
      }
    };
    for (const end of ends) {
      this.#open.add(end);
      end.on('error', cut).on('close', cut);
    }
    client.on('data', (chunk) => server.write(chunk));
    server.on('data', (chunk) => {
      const said = chunk.toString('latin1');
      if (this.#losing?.test(said)) {
        this.#losing = undefined;
        this.lost.push(said);
        cut();
        return;
      }
      this.heard += said;
      client.write(chunk);
    });
  }

  async close(): Promise<void> {
    for (const end of this.#open) end.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
