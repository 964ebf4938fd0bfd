#!/usr/bin/env node
'use strict';
// @ts-check

require('../lib/cli').main();
