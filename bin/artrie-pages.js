#!/usr/bin/env node
import { runProcess } from '../dist/bin/cli.js';

await runProcess();
