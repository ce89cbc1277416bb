#!/usr/bin/env node
// File operations of the recorder and of stores share libuv's pool with the live path's name look-ups; the default of four
// threads would let a slow disk delay a call's start. libuv reads this when the pool is first used, and loading an ES module
// uses it, so this file alone is CommonJS.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

void import('./program.js').then(({ program }) => program().parseAsync());
