/** Names within a document, of the characters that OpenAPI and AsyncAPI allow. */
export class Names {
  readonly #used: Set<string>;

  constructor(used: readonly string[] = []) {
    this.#used = new Set(used);
  }

  /** The wanted name, or one that is like it: each is returned once. */
  take(wanted: string): string {
    const base =
      wanted
        .split(/[^\w-]+/)
        .filter(Boolean)
        .join('.') || '_';
    let name = base;
    for (let n = 2; this.#used.has(name); n++) name = `${base}.${n}`;
    this.#used.add(name);
    return name;
  }
}
