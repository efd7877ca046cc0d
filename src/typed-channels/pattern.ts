import { checkChannel } from '../event/event.js';
import { checkKeys, inputError, optionError, SseError, show } from '../common/sse.errors.js';

/** The values of the parameters in a pattern. */
export type ParameterValues = Readonly<Record<string, string | number | bigint>>;

/** What values have no other way to write: `:` and `/`, which keep parameters apart, `~`, which begins an escape, and what no name may have. */
const ESCAPED = /[^\w.\-@]/gu;
const ESCAPES = /(?:~[\dA-F]{2})+/g;
const PARAMETER = /\{(\w+)\}/;

/** The pattern of a channel, such as `order:{id}`. */
export class ChannelPattern {
  /** In canonical form. */
  readonly pattern: string;
  /** The names of its parameters, in order. */
  readonly parameters: readonly string[];
  readonly #texts: readonly string[];
  readonly #expression: RegExp;

  /** @throws SseError `SSE_OPTIONS` */
  constructor(pattern: string) {
    this.pattern = typeof pattern === 'string' ? pattern.normalize('NFC') : '';
    const parts = this.pattern.split(PARAMETER);
    this.#texts = parts.filter((_, n) => n % 2 === 0);
    this.parameters = parts.filter((_, n) => n % 2 === 1);
    const isDistinct = new Set(this.parameters).size === this.parameters.length;
    // Otherwise two lists of values could give the same name.
    const areApart = this.#texts.slice(1, -1).every((text) => /[:/]/.test(text));
    if (
      !isDistinct ||
      !areApart ||
      !isName(this.#texts.join('') || (this.parameters.length > 0 ? 'x' : ''))
    ) {
      const expected =
        'letters, digits and _ . : - / @ ~, with parameters such as `order:{id}`, with `:` or `/` between two of them';
      throw optionError('pattern', expected, show(pattern));
    }
    const escaped = this.#texts.map((text) => text.replaceAll('.', String.raw`\.`));
    this.#expression = new RegExp(`^${escaped.join('([^:/]+)')}$`, 'u');
  }

  /**
   * The name of a channel. Values are encoded, so that different ones give different names: everything but ASCII letters and digits and `_ . - @`
   * is written as its bytes in UTF-8, `~7C` for `|`. That does not depend on a version of Unicode, which other nodes and programs may not have.
   *
   * @throws SseError `SSE_INPUT`
   */
  nameOf(values: ParameterValues = {}): string {
    checkKeys('SSE_INPUT', `parameters of ${this.pattern}`, values, this.parameters);
    const texts = this.parameters.map((parameter) => this.#textOf(parameter, values));
    const encoded = texts.map((text) => text.replaceAll(ESCAPED, escape));
    const name = this.#texts.map((text, n) => text + (encoded[n] ?? '')).join('');
    if (isName(name)) return name;
    const message = `Expected the parameters of \`${this.pattern}\` to give a name of at most 200 characters, got ${name.length}: ${show(name)}`;
    throw new SseError('SSE_INPUT', message);
  }

  /** The values in the name of a channel; undefined if `nameOf()` gives no such name. */
  parse(name: string): Record<string, string> | undefined {
    const found = this.#expression.exec(name);
    if (!found) return undefined;
    try {
      const entries = this.parameters.map((parameter, n) => [parameter, decode(found[n + 1]!)] as const);
      const values = Object.fromEntries(entries);
      return this.nameOf(values) === name ? values : undefined;
    } catch {
      return undefined;
    }
  }

  #textOf(parameter: string, values: ParameterValues): string {
    const value: unknown = Object.hasOwn(values, parameter) ? values[parameter] : undefined;
    const isNumber = Number.isFinite(value) && (Number.isSafeInteger(value) || !Number.isInteger(value));
    const text = typeof value === 'string' || typeof value === 'bigint' || isNumber ? String(value) : '';
    // A lone surrogate has no bytes in UTF-8.
    if (text !== '' && !/\p{Cs}/u.test(text)) return text;
    const expected = 'a text that is not empty and well-formed, or a number that JavaScript keeps exactly';
    throw inputError(`${parameter}\` of \`${this.pattern}`, expected, value);
  }
}

const escape = (char: string) => Buffer.from(char).toString('hex').toUpperCase().replaceAll(/../g, '~$&');

/** @throws TypeError for bytes that are no UTF-8 */
const decode = (value: string) =>
  value.replaceAll(ESCAPES, (bytes) =>
    new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(
      Buffer.from(bytes.replaceAll('~', ''), 'hex'),
    ),
  );

function isName(name: string): boolean {
  try {
    return checkChannel(name) === name;
  } catch {
    return false;
  }
}
