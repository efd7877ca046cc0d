import { element } from './dom.js';

const TOKENS =
  /(\/\*[\s\S]*?\*\/|\/\/[^\n]*)|('[^'\n]*'|`[^`]*`)|(@\w+)|\b(async|await|catch|class|const|export|finally|for|function|if|implements|let|new|of|private|readonly|return|this|throw|try|typeof|undefined|void|yield)\b/g;
const KINDS = ['comment', 'string', 'decorator', 'keyword'];

/** The lines from the one that begins with a text to the bracket that closes it, without their indentation. */
export function excerpt(source, from) {
  const lines = source.split('\n');
  const first = lines.findIndex((line) => line.trimStart().startsWith(from));
  if (first < 0) throw new Error(`The code has no line that begins with ${from}`);
  const indent = /^ */.exec(lines[first])[0];
  const last = lines.findIndex((line, n) => n > first && line.startsWith(`${indent}}`));
  return lines
    .slice(first, last + 1)
    .map((line) => line.slice(indent.length))
    .join('\n');
}

function highlight(code) {
  const parts = document.createDocumentFragment();
  let end = 0;
  for (const match of code.matchAll(TOKENS)) {
    const kind = KINDS[match.slice(1).findIndex(Boolean)];
    parts.append(code.slice(end, match.index), element('span', kind, match[0]));
    end = match.index + match[0].length;
  }
  parts.append(code.slice(end));
  return parts;
}

/** Shows an excerpt of a file that runs: `<pre data-file="src/…" data-from="…">`. */
async function showCode(pre) {
  const { file, from } = pre.dataset;
  const response = await fetch(file);
  const code = highlight(excerpt(await response.text(), from));
  pre.replaceChildren(element('span', 'file', `sample/${file.replace(/^js/, 'public/js')}\n`), code);
}

const showAll = (details) => Promise.all([...details.querySelectorAll('pre')].map(showCode));

/** Loads the code of a panel when it is opened. */
export function startCode(root = document) {
  for (const details of root.querySelectorAll('details.code')) {
    details.addEventListener('toggle', () => details.open && void showAll(details));
  }
}
