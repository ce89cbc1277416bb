import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';

const pages = [
  'README.md',
  'CHANGELOG.md',
  'CONTRIBUTING.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
];

/** A page without its code blocks and code spans, in which nothing is a link. */
function prose(page: string): string {
  return readFileSync(page, 'utf8')
    .replace(/^```[\s\S]*?^```$/gm, '')
    .replace(/`[^`\n]*`/g, '');
}

/** The anchors that a page's headings get where it is shown. */
function anchorsOf(page: string): string[] {
  const headings = [
    ...readFileSync(page, 'utf8')
      .replace(/^```[\s\S]*?^```$/gm, '')
      .matchAll(/^#+ (.+)$/gm),
  ];
  return headings.map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

for (const page of pages) {
  void t.test(`every link in ${page} leads somewhere`, (t) => {
    const targets = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => target);
    for (const target of targets.filter((each) => !/^[a-z]+:/.test(each))) {
      const [path = '', anchor] = target.split('#');
      const file = path === '' ? page : join(dirname(page), path);
      t.ok(existsSync(file), `${target} exists`);
      if (anchor !== undefined && existsSync(file))
        t.ok(anchorsOf(file).includes(anchor), `${target} is a heading`);
    }
    t.end();
  });
}

void t.test('every npm script that a page names exists', (t) => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  let named = 0;
  for (const page of pages) {
    for (const [, name = ''] of readFileSync(page, 'utf8').matchAll(
      /npm run (?:-{1,2}\S+ )*([a-z][a-z:-]*)/g,
    )) {
      named++;
      t.ok(name in scripts, `${page}: npm run ${name}`);
    }
  }
  t.ok(named > 5, 'scripts were found');
  t.end();
});

void t.test('every path of this project that a table names exists', (t) => {
  let named = 0;
  for (const page of ['README.md', 'CONTRIBUTING.md', join('docs', 'architecture.md')]) {
    const rows = readFileSync(page, 'utf8').match(/^\|.*$/gm) ?? [];
    for (const [, path = ''] of rows
      .join('\n')
      .matchAll(/`((?:src|test|docs|bench|native|\.ci)(?:\/[\w./-]+)?)`/g)) {
      named++;
      t.ok(statSync(path, { throwIfNoEntry: false }) !== undefined, `${page}: ${path}`);
    }
  }
  t.ok(named > 10, 'paths were found');
  t.end();
});
