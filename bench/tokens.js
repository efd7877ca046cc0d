/** The tokens of `streams.bench.js`: chunks of text, as AI libraries send them. */
const TEXT = 'The answer depends on how many of your users read the same channel , and for how long .';
const WORDS = TEXT.split(' ').map((word, n) => (n === 0 || /\W/.test(word) ? word : ` ${word}`));

export const token = (n) => ({ type: 'text-delta', id: '0', delta: WORDS[n % WORDS.length] });

/** The size of tokens as JSON. */
export function bytesOf(count) {
  let bytes = 0;
  for (let n = 0; n < count; n++) bytes += JSON.stringify(token(n)).length;
  return bytes;
}

/** @param paceMs time between two tokens, 0 for none */
export async function* produce(count, paceMs) {
  for (let n = 0; n < count; n++) {
    if (paceMs > 0) await new Promise((resolve) => setTimeout(resolve, paceMs));
    yield token(n);
  }
}
