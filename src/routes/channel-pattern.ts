import { checkChannel } from '../event/event.js';
import { optionError, show } from '../common/sse.errors.js';

/** Maximum steps of matching one name: tens of milliseconds. */
const MAX_STEPS = 10_000_000;
/** Maximum length of a channel name. */
const MAX_LENGTH = 200;

/**
 * A channel, or a pattern with parameters, such as `order:{id}`. A parameter stands for one or more characters without `:` and
 * `/`, up to the text that follows it. Matching takes as many steps as the name has characters.
 *
 * @throws SseError `SSE_INPUT` for an unacceptable channel, `SSE_OPTIONS` for an unacceptable pattern
 */
export function matcherOf(pattern: unknown): (channel: string) => boolean {
  if (typeof pattern !== 'string' || !/[{}]/.test(pattern)) {
    const channel = checkChannel(pattern);
    return (name) => name === channel;
  }
  const [first = '', ...texts] = pattern.normalize('NFC').split(/\{\w+\}/);
  const areApart = texts.slice(0, -1).every((text) => text !== '');
  if ([first, ...texts].join('').match(/[{}]/) || !areApart) {
    throw optionError('allow', 'a list of channels or patterns such as `order:{id}`', show(pattern));
  }
  for (const text of [first, ...texts]) if (text !== '') checkChannel(text);
  return (name) => name.startsWith(first) && follows(name, first.length, texts);
}

/** Whether each text follows a parameter, and the last text ends the name. */
function follows(name: string, from: number, texts: readonly string[]): boolean {
  let at = from;
  for (const [n, text] of texts.entries()) {
    const end = n === texts.length - 1 ? name.length - text.length : name.indexOf(text, at + 1);
    if (end <= at || /[:/]/.test(name.slice(at, end)) || !name.startsWith(text, end)) return false;
    at = end + text.length;
  }
  return true;
}

/**
 * Matches whole names. Regular expressions backtrack: one that could take long for some name is refused.
 *
 * @throws SseError `SSE_OPTIONS`
 */
export function expressionOf({ source, flags }: RegExp): (channel: string) => boolean {
  if (/\(\?(?:<?[=!]|[-\w]*:(?<!\(\?:))|\\[1-9k]/.test(source) || !(stepsOf(source) <= MAX_STEPS)) {
    const expected =
      'an expression without repetitions of what varies itself, look-around and back references, or patterns such as [`order:{id}`]';
    throw optionError('allow', expected, show(`/${source}/${flags}`));
  }
  // Unanchored, /news/ would allow `news-of-the-board`; with `g`, the expression would remember its last index.
  const whole = new RegExp(`^(?:${source})$`, flags.replaceAll(/[gmy]/g, ''));
  return (channel) => whole.test(channel);
}

/** An upper bound of the ways to match one name. Each repetition of varying length multiplies them. */
function stepsOf(source: string): number {
  let at = 0;

  const alternatives = (): number => {
    let all = 0;
    let one = 1;
    for (; at < source.length && source[at] !== ')';) {
      if (source[at] === '|') {
        all += one;
        one = 1;
        at++;
      } else {
        one *= repeated(atom());
      }
    }
    return all + one;
  };

  /** The ways of one character, class or group. */
  const atom = (): number => {
    const char = source[at++];
    if (char === '\\') at++;
    if (char === '[') {
      for (; source[at] !== ']'; at++) if (source[at] === '\\') at++;
      at++;
    }
    if (char !== '(') return 1;
    at += /^\?(?::|<\w+>)/.exec(source.slice(at))?.[0].length ?? 0;
    const ways = alternatives();
    at++;
    return ways;
  };

  /** With the quantifier that follows, if one does. */
  const repeated = (ways: number): number => {
    const [quantifier, , least, comma, most] = /^([*+?]|\{(\d+)(,?)(\d*)\})\??/.exec(source.slice(at)) ?? [
      '',
    ];
    at += quantifier.length;
    if (quantifier === '') return ways;
    if (quantifier.startsWith('?')) return ways + 1;
    const from = least === undefined ? 0 : Number(least);
    const to = comma === '' ? from : Math.min(Number(most || MAX_LENGTH), MAX_LENGTH);
    const counts = Math.max(1, to - from + 1);
    // Each repetition may match in another way.
    return ways === 1 ? counts : ways ** to * counts;
  };

  return alternatives();
}
