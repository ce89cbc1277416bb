import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/fixtures/freePort.js';
import { missingProgram, PeerProcess } from './PeerProcess.js';
import type { Subject } from './Subject.js';

const program = 'haproxy';

export const haproxy: Subject = {
  name: 'haproxy',
  about: 'haproxy, one thread, passing through, not recording',
  traffic: 'relay',
  hasRows: true,
  missing: () => missingProgram(program, 'haproxy'),
  start: async ({ core, botPort, dir }) => {
    const port = await freePort();
    const file = join(dir, 'haproxy.cfg');
    writeFileSync(file, configuration(port, botPort));
    return await PeerProcess.onPort([program, '-db', '-f', file], core, port);
  },
};

function configuration(port: number, botPort: number): string {
  return [
    'global',
    '  nbthread 1',
    '  maxconn 8000',
    'defaults',
    '  mode http',
    '  timeout connect 10s',
    '  timeout client 1h',
    '  timeout server 1h',
    '  timeout tunnel 1h',
    'frontend providers',
    `  bind 127.0.0.1:${port} backlog 4096`,
    '  default_backend bots',
    'backend bots',
    `  server bot 127.0.0.1:${botPort}`,
    '',
  ].join('\n');
}
