/** No object of etcd is larger than 1.5 MiB; a longer line is not a watch event. */
const longestLine = 16 * 1024 * 1024;

/** A watch whose bytes make no sense: what they said is lost, so that only a new list helps. Quotes nothing of them. */
export class TornStreamError extends Error {
  override readonly name = 'TornStreamError';
}

/**
 * Splits a byte stream into lines and parses each as JSON; yields together what has come together. A line that is no JSON, too long, or cut off
 * throws {@link TornStreamError}.
 */
export async function* jsonLines(chunks: AsyncIterable<Uint8Array>): AsyncIterable<readonly unknown[]> {
  const decoder = new TextDecoder('utf-8');
  let pending = '';
  for await (const chunk of chunks) {
    const text = decoder.decode(chunk, { stream: true });
    if (!text.includes('\n')) {
      pending += text;
      if (pending.length > longestLine) throw new TornStreamError('API server: a line of a watch is too long');
      continue;
    }
    const lines = (pending + text).split('\n');
    pending = lines.pop() ?? '';
    yield lines.filter((line) => line.trim() !== '').map(parse);
  }
  if ((pending + decoder.decode()).trim() !== '')
    throw new TornStreamError('API server: a watch ended in the middle of a line');
}

function parse(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    throw new TornStreamError('API server: a line of a watch is not JSON');
  }
}
