/** Maximum nesting of data: `JSON.stringify()` and `JSON.parse()` handle that much on any stack, in any client. */
export const MAX_DEPTH = 500;

const [QUOTE, BACKSLASH, COMMA] = [34, 92, 44];
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [91, 93, 123, 125];

/**
 * The members of a JSON object as the texts they are written in: numbers keep their digits. As in `JSON.parse()`, the last
 * one of a name counts.
 *
 * @param text a JSON object that `JSON.parse()` accepts
 */
export function membersOf(text: string): ReadonlyMap<string, string> {
  const members = new Map<string, string>();
  for (let at = text.indexOf('"'); at >= 0; at = text.indexOf('"', at)) {
    const keyEnd = endOfString(text, at);
    const key = text.slice(at, keyEnd);
    const start = text.indexOf(':', keyEnd) + 1;
    at = endOfMember(text, start);
    members.set(JSON.parse(key) as string, text.slice(start, at).trim());
  }
  return members;
}

/** The text of the value of a member, with the white space around it. @param start behind the colon */
export const memberAt = (text: string, start: number): string => text.slice(start, endOfMember(text, start));

/** The elements of a JSON array as the texts they are written in. @param text a JSON array that `JSON.parse()` accepts */
export function elementsOf(text: string): string[] {
  const elements: string[] = [];
  for (let at = text.indexOf('[') + 1; ;) {
    const end = endOfMember(text, at);
    const element = text.slice(at, end).trim();
    if (element !== '') elements.push(element);
    if (text.charCodeAt(end) !== COMMA) return elements;
    at = end + 1;
  }
}

/** The same JSON without white space between its tokens, each of which keeps its characters. */
export function compact(json: string): string {
  let compacted = '';
  for (let at = 0; at < json.length;) {
    const start = json.indexOf('"', at);
    const end = start < 0 ? json.length : endOfString(json, start);
    compacted += json.slice(at, start < 0 ? end : start).replaceAll(/\s+/g, '');
    if (start >= 0) compacted += json.slice(start, end);
    at = end;
  }
  return compacted;
}

/** Whether a JSON text is nested more deeply than `MAX_DEPTH`. @param json what `JSON.parse()` accepts */
export function isTooDeep(json: string): boolean {
  // Each level takes two brackets.
  if (json.length <= 2 * MAX_DEPTH) return false;
  let depth = 0;
  for (let at = 0; at < json.length; at++) {
    const code = json.charCodeAt(at);
    if (code === QUOTE) at = endOfString(json, at) - 1;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) {
      if (++depth > MAX_DEPTH) return true;
    } else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
  }
  return false;
}

/** The index of the comma or bracket behind the value of a member or element. */
function endOfMember(text: string, start: number): number {
  let depth = 0;
  for (let at = start; ; at++) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) at = endOfString(text, at) - 1;
    else if (code === OPEN_LIST || code === OPEN_OBJECT) depth++;
    else if (depth === 0 && (code === COMMA || code === CLOSE_OBJECT || code === CLOSE_LIST)) return at;
    else if (code === CLOSE_LIST || code === CLOSE_OBJECT) depth--;
  }
}

/** The index behind a string that begins at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); ; end = text.indexOf('"', end + 1)) {
    let before = end;
    while (text.charCodeAt(before - 1) === BACKSLASH) before--;
    if ((end - before) % 2 === 0) return end + 1;
  }
}
