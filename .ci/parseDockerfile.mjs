/**
 * Reads the part of the Dockerfile language that ours uses; anything else is an error, so that nothing is skipped silently.
 * Format: https://docs.docker.com/reference/dockerfile/
 *
 * @param {string} text
 * @returns stages in order, each `{ base, name, steps: [{ instruction, flags, text, line }] }`
 */
export function parseDockerfile(text) {
  const stages = [];
  for (const { content, line } of logicalLines(text)) {
    const [, instruction, rest] = /^([A-Z]+)\s+(.*)$/s.exec(content) ?? [];
    if (!known.has(instruction)) throw new Error(`Dockerfile line ${line}: cannot run ${content}`);
    if (instruction === 'FROM') stages.push(stageOf(rest, line));
    else stages.at(-1).steps.push({ instruction, line, ...flagsOf(rest) });
  }
  return stages;
}

const known = new Set([
  'FROM',
  'RUN',
  'COPY',
  'WORKDIR',
  'ENV',
  'USER',
  'VOLUME',
  'EXPOSE',
  'HEALTHCHECK',
  'ENTRYPOINT',
]);

/** `["a", "b"]`, the form of ENTRYPOINT and HEALTHCHECK CMD that starts a program without a shell. */
export function execForm(text) {
  const list = JSON.parse(text);
  if (!Array.isArray(list) || list.length === 0) throw new Error(`Not in exec form: ${text}`);
  return list;
}

/** `A=1 B="two words"`. */
export function assignments(text) {
  const found = [...text.matchAll(/([A-Za-z_][A-Za-z0-9_]*)=("([^"]*)"|[^\s"]*)(\s+|$)/g)];
  if (found.map(([whole]) => whole).join('') !== text) throw new Error(`Cannot read ENV ${text}`);
  return Object.fromEntries(found.map(([, name, bare, quoted]) => [name, quoted ?? bare]));
}

/** Whether a file of the build context reaches the build: the last pattern of the .dockerignore that fits decides. */
export function isInContext(path, dockerignore) {
  let isIn = true;
  for (const line of dockerignore.split('\n').map((each) => each.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const pattern = line.replace(/^!/, '');
    if (pattern !== '*' && /[*?[]/.test(pattern))
      throw new Error(`Cannot read the .dockerignore pattern ${line}`);
    if (pattern === '*' || path === pattern || path.startsWith(`${pattern}/`)) isIn = line.startsWith('!');
  }
  return isIn;
}

/** Lines without comments, those that end in a backslash joined with the next. */
function* logicalLines(text) {
  let content = '';
  let start = 0;
  for (const [at, line] of text.split('\n').entries()) {
    if (/^\s*(#|$)/.test(line)) continue;
    if (content === '') start = at + 1;
    content += line.replace(/\\\s*$/, '');
    if (/\\\s*$/.test(line)) continue;
    yield { content: content.trim(), line: start };
    content = '';
  }
  if (content !== '') throw new Error(`Dockerfile line ${start}: ends in a backslash`);
}

function stageOf(rest, line) {
  const [, base, name] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? [];
  if (base === undefined) throw new Error(`Dockerfile line ${line}: cannot read FROM ${rest}`);
  return { base, name, steps: [] };
}

function flagsOf(rest) {
  const flags = {};
  let text = rest;
  for (let found; (found = /^--([a-z-]+)=(\S+)\s+/.exec(text)) !== null; text = text.slice(found[0].length)) {
    flags[found[1]] = found[2];
  }
  return { flags, text };
}
