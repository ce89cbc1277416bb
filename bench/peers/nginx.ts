import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/fixtures/freePort.js';
import { missingProgram, PeerProcess } from './PeerProcess.js';
import type { Subject } from './Subject.js';

const program = 'nginx';

/** What everything is compared with: it passes bytes on, and knows nothing of frames. */
export const nginx: Subject = {
  name: 'nginx',
  about: 'nginx, one worker, passing through, not recording',
  traffic: 'relay',
  hasRows: true,
  missing: () => missingProgram(program, 'nginx-light'),
  start: async ({ core, botPort, dir }) => {
    const port = await freePort();
    const file = join(dir, 'nginx.conf');
    mkdirSync(join(dir, 'temp'));
    writeFileSync(file, configuration(port, botPort, dir));
    return await PeerProcess.onPort(
      [program, '-p', dir, '-e', join(dir, 'error.log'), '-c', file],
      core,
      port,
    );
  },
};

function configuration(port: number, botPort: number, dir: string): string {
  const temp = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (kind) => `  ${kind}_temp_path ${join(dir, 'temp', kind)};`,
  );
  return [
    // As root it would start its worker as somebody who may not write here.
    ...(process.getuid?.() === 0 ? ['user root;'] : []),
    'daemon off;',
    'worker_processes 1;',
    `pid ${join(dir, 'nginx.pid')};`,
    `error_log ${join(dir, 'error.log')} warn;`,
    'events { worker_connections 16384; }',
    'http {',
    '  access_log off;',
    ...temp,
    '  server {',
    `    listen 127.0.0.1:${port} backlog=4096;`,
    '    location / {',
    `      proxy_pass http://127.0.0.1:${botPort};`,
    '      proxy_http_version 1.1;',
    '      proxy_set_header Upgrade $http_upgrade;',
    '      proxy_set_header Connection upgrade;',
    '      proxy_read_timeout 1h;',
    '      proxy_send_timeout 1h;',
    '    }',
    '  }',
    '}',
    '',
  ].join('\n');
}
