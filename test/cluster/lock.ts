import { once } from 'node:events';
import { connect, createServer } from 'node:net';

/**
 * Runs `work` while this process alone holds the lock `name` on this machine; waits for as long as another one holds it.
 * `onWait` is called once if there is somebody to wait for. The kernel frees the lock when the holder dies, however it dies:
 * it is a socket in Linux' abstract name space.
 */
export async function withLock<T>(name: string, work: () => Promise<T>, onWait?: () => void): Promise<T> {
  const address = `\0ci-identity-cluster:${name}`;
  if (Buffer.byteLength(address) > 107) {
    throw new Error(`lock name ${JSON.stringify(name)} is longer than a socket address – use a hash of it`);
  }
  let told = false;
  for (;;) {
    const release = await tryLock(address);
    if (release) {
      try {
        return await work();
      } finally {
        await release();
      }
    }
    if (!told) onWait?.();
    told = true;
    await holderGone(address);
  }
}

async function tryLock(address: string): Promise<(() => Promise<void>) | undefined> {
  const waiting = new Set<{ destroy(): void }>();
  const server = createServer((socket) => {
    socket.on('error', () => {}); // a waiter that dies is none of the holder's business
    waiting.add(socket);
    socket.once('close', () => waiting.delete(socket));
  });
  server.listen(address);
  try {
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return undefined;
    throw error;
  }
  return async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of waiting) socket.destroy();
    await closed;
  };
}

async function holderGone(address: string): Promise<void> {
  const socket = connect(address);
  socket.on('error', () => {}); // refused: gone already; the close event follows
  socket.resume();
  await once(socket, 'close');
}
