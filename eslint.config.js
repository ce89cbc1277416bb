import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/*
 * Data flows one way through the stages, and so do imports. Each stage may import itself and what is listed here, nothing
 * else under src/. A new arrow is a design decision: it is made in this table, where a reviewer sees it.
 */
const everywhere = ['audio', 'config'];
const mayImport = {
  audio: ['config'],
  config: [],
  tap: everywhere,
  providers: ['audio', 'config'],
  relay: [...everywhere, 'providers', 'tap', 'bridge'],
  // Runs in processes of its own; the relay hands calls to it as to any bot.
  bridge: [...everywhere, 'providers', 'tap'],
  rooms: [...everywhere, 'tap'],
  recorder: [...everywhere, 'tap', 'spool'],
  spool: ['audio', 'config'],
  storage: [...everywhere, 'spool'],
  catalogue: [...everywhere, 'spool'],
  control: [...everywhere, 'spool', 'storage', 'catalogue', 'tap', 'providers', 'rooms'],
  supervisor: [...everywhere, 'relay', 'bridge', 'tap', 'recorder', 'spool', 'control'],
  simulators: [...everywhere, 'providers'],
  // Runs in a browser: of the others it has types, nothing else.
  web: ['config', 'spool', 'control'],
  // Looks at what each stage needs, and is imported by none.
  doctor: [...everywhere, 'tap', 'spool', 'storage', 'catalogue', 'control', 'providers', 'relay', 'rooms'],
};
const stages = Object.keys(mayImport);
const zones = Object.entries(mayImport).map(([stage, allowed]) => ({
  files: [`src/${stage}/**/*.ts`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [...stages, 'cli']
          .filter((other) => other !== stage && !allowed.includes(other))
          .map((other) => ({
            group: [`**/${other}/**`],
            message: `The stage ${stage} may not import ${other}; see the table in eslint.config.js.`,
          })),
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['dist', 'build', 'build-*', 'native/build', '.tap', 'coverage'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      'max-lines-per-function': ['error', { max: 80, skipBlankLines: true, skipComments: true }],
    },
  },
  { files: ['test/**/*.ts', 'bench/**/*.ts'], rules: { 'max-lines-per-function': 'off' } },
  ...zones,
  { files: ['**/*.{js,mjs}'], languageOptions: { globals: { process: 'readonly', console: 'readonly' } } },
);
