/** Controls except tab and line feed, and marks that change the direction of text: a terminal acts on them. */
// oxlint-disable-next-line no-control-regex -- controls are what it looks for
const UNSAFE = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** The text as a terminal may show it. Escapes are those of JSON, so JSON stays JSON. */
export function printable(text: string): string {
  return text.replace(UNSAFE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Resolves once stdout has taken the text, which is how fast it may come. Programs get it unchanged, terminals printable. */
export function print(text: string): Promise<void> {
  const { stdout } = process;
  return new Promise((resolve, reject) =>
    stdout.write(stdout.isTTY ? printable(text) : text, (error) =>
      error ? reject(new Error(`Cannot write to stdout: ${error.message}`, { cause: error })) : resolve(),
    ),
  );
}

/** Printable text: a message may quote another program. */
export function writeError(message: unknown): void {
  process.stderr.write(`${printable(message instanceof Error ? message.message : String(message))}\n`);
}
