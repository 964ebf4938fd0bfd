'use strict';
// @ts-check

// What `require('rcluster')` gives: Node's own `cluster` object, with our engine behind it.

const { isExpected } = require('../platform');

module.exports = isExpected ? require('./install').installCluster() : require('./without_engine').install();
