#!/usr/bin/env node
// File operations of the recorder and of stores share libuv's pool with the live path's name look-ups; the default of four
// threads would let a slow disk delay a call's start. Read by libuv when the pool is first used, so it has to come first.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

const { program } = await import('./program.js');
await program().parseAsync();
