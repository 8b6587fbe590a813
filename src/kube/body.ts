import { OperatorError } from '../errors.ts';
import { PageTooLargeError } from '../runtime/source.ts';

/**
 * Reads the body of an answer: JSON where `contentType` says so, otherwise its text. More than `longest` bytes throw
 * {@link PageTooLargeError} as soon as they have come; JSON that is cut off throws OperatorError Transient.
 */
export async function readBody(
  chunks: AsyncIterable<Uint8Array>,
  contentType: string | undefined,
  longest = Number.POSITIVE_INFINITY,
): Promise<unknown> {
  const read: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of chunks) {
    length += chunk.length;
    if (length > longest) {
      throw new PageTooLargeError(`API server: an answer has more than ${Math.floor(longest / 1024 ** 2)} MiB`);
    }
    read.push(chunk);
  }
  const text = Buffer.concat(read).toString();
  const isJson = /^application\/(.*\+)?json\b/.test(contentType ?? '');
  return isJson && text !== '' ? parsed(text) : text;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The SyntaxError quotes the text, which may hold secrets.
    throw new OperatorError({
      class: 'Transient',
      reason: 'ApiServerUnavailable',
      message: 'API server: an answer is cut off; it is tried again',
    });
  }
}
