/**
 * `valkey://HOST:PORT/NAME`: rows in the memory of a Valkey or Redis server, or of a cluster, of which any servers are named:
 * `valkey://HOST:PORT,HOST:PORT/NAME`. `valkeys:` is the same over TLS. Speaks the servers' protocol itself: client packages cost
 * several times as much for each key, and rows are taken straight from the socket to where they belong.
 */
import { defineBackend, type RowReader, type StoreBackend } from '../backend.js';
import { StoreError } from '../errors.js';
import { type ClientOptions, ValkeyClient } from './valkey-client.js';
import { keysOf, parseControl, publishedForm } from './valkey-control.js';
import { parseLocation, type ValkeyLocation } from './valkey-keys.js';
import { sockets } from './valkey-network.js';
import { ValkeyRows } from './valkey-rows.js';
import { openValkeySink, removeValkeyStore } from './valkey-sink.js';
import { slotOf } from './valkey-topology.js';

export interface ValkeyOptions extends Partial<ClientOptions> {
  /** Over TLS; `ca`: certificates of authorities that are trusted beside the usual ones (`NODE_EXTRA_CA_CERTS` names a file of them). */
  readonly tls?: boolean | { readonly ca: string };
}

/** A backend of the scheme with options of its own, for `registerBackend`. The environment's user name and password hold where none are given. */
export function valkeyServersBackend(scheme: string, { tls = false, ...options }: ValkeyOptions = {}): StoreBackend {
  const connect = (location: ValkeyLocation) => {
    const { VALKEY_USERNAME: username, VALKEY_PASSWORD: password } = process.env;
    const network = tls === false ? sockets() : sockets(tls === true ? {} : tls);
    return new ValkeyClient(location.url, location, { network, username, password, ...options });
  };
  /** Closes the client if `work` fails. */
  const withClient = async <T>(text: string, work: (client: ValkeyClient, location: ValkeyLocation) => Promise<T>): Promise<T> => {
    const location = parseLocation(scheme, text);
    const client = connect(location);
    try {
      return await work(client, location);
    } catch (error) {
      client.close();
      throw error;
    }
  };
  return defineBackend({
    scheme,
    openReader: (text) => withClient(text, openValkeyReader),
    openSink: (text, description, sinkOptions) =>
      withClient(text, (client, location) => openValkeySink(client, location, description, sinkOptions)),
    remove: (text) =>
      withClient(text, async (client, location) => {
        await removeValkeyStore(client, location);
        client.close();
      }),
  });
}

export const valkeyBackend = valkeyServersBackend('valkey');
export const valkeysBackend = valkeyServersBackend('valkeys', { tls: true });

async function openValkeyReader(client: ValkeyClient, location: ValkeyLocation): Promise<RowReader> {
  const { url, name } = location;
  const key = keysOf(location).manifest;
  const found = parseControl(url, await client.command(false, slotOf(key), 'GET', key), publishedForm);
  if (found === undefined)
    throw new StoreError('STORE_MISSING', `${url} does not exist`, 'Correct the address, or publish the store there.');
  const { store: manifest, generation } = found;
  const rows = new ValkeyRows(url, client, { name, generation, rows: manifest.rows, rowBytes: manifest.rowBytes });
  return {
    manifest,
    readRows: (ids, into, signal) => rows.read(ids, into, { fromReplicas: true, signal }),
    readChecksums: (first, into) => rows.readChecksums(first, into),
    stats: () => client.stats(),
    close: async () => client.close(),
  };
}
