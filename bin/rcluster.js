#!/usr/bin/env node
'use strict';
// @ts-check

// Nothing here is hot but the loading of modules, and that would load V8's optimizing compilers too: 3 MB for good. It is
// this process's own flag; workers do not inherit it.
require('node:v8').setFlagsFromString('--no-opt --no-maglev');
require = require('../lib/loader').within(module, require);
require('../lib/cli').main();
